// The stock agents SDK over a WebSocket: node agents.mjs URL FLOW SOUND JPEG
import { readFileSync } from 'node:fs';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { FLOWS, Heard, WEATHER, packets } from './flows.mjs';

// Not exported: what the client itself judges each event with.
const parser = './node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs';
const { parseRealtimeEvent } = await import(new URL(parser, import.meta.url));

const [url, flow, sound, jpeg] = process.argv.slice(2);
const hasTools = flow === 'tool round trip';
const getWeather = tool({
  ...WEATHER,
  execute: async () => {
    // Only one call is demanded: what follows is an answer in words.
    session.transport.sendEvent({
      type: 'session.update',
      session: { type: 'realtime', tool_choice: 'none' },
    });
    return 'sunny';
  },
});
const agent = new RealtimeAgent({
  name: 'Assistant',
  instructions: 'Answer briefly.',
  tools: hasTools ? [getWeather] : [],
});
const session = new RealtimeSession(agent, {
  transport: 'websocket',
  model: 'phi',
  config: hasTools ? { toolChoice: 'required' } : {},
});
const heard = new Heard();
session.transport.on('*', (event) => {
  heard.receive(event);
  // Its schema has no pictures in items, which no server can change.
  const isPicture = JSON.stringify(event.item ?? '').includes('input_image');
  if (!isPicture && parseRealtimeEvent({ data: JSON.stringify(event) }).isGeneric) {
    throw new Error(`rejected by the client: ${JSON.stringify(event).slice(0, 500)}`);
  }
});
session.on('error', () => {}); // each is an event too, which was received as one

const peer = {
  events: heard.events,
  wait: (type) => heard.wait(type),
  send: (event) => session.transport.sendEvent(event),
  say: (text) => session.sendMessage(text),
  show: (url) => session.addImage(url),
  speak(sound) {
    for (const packet of packets(sound)) {
      session.sendAudio(new Uint8Array(packet).buffer);
    }
  },
  offerTools() {},
  answerCall() {},
};

await session.connect({
  apiKey: 'unused',
  url: `${url.replace('http', 'ws')}/v1/realtime?model=phi`,
});
await FLOWS[flow](peer, { sound: readFileSync(sound), jpeg: readFileSync(jpeg) });
session.close();
process.exit(0);
