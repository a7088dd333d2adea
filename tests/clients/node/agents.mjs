// The stock agents SDK over a WebSocket: node agents.mjs URL FLOW.json
import { readFileSync } from 'node:fs';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { Heard, follow, packets } from './flows.mjs';
import { why } from './accepts.mjs';

const [url, file] = process.argv.slice(2);
const flow = JSON.parse(readFileSync(file));
const tools = flow.tools.map(({ name, description, parameters }) =>
  tool({ name, description, parameters, strict: false, execute: async () => flow.result }),
);
const agent = new RealtimeAgent({ name: 'Assistant', tools });
const session = new RealtimeSession(agent, { transport: 'websocket', model: 'phi' });
const heard = new Heard();
session.transport.on('*', (event) => {
  heard.receive(event);
  const reason = why(event);
  if (reason) throw new Error(reason);
});
session.on('error', () => {}); // each is an event too, which was received as one

const peer = {
  wait: (type) => heard.wait(type),
  send: (event) => session.transport.sendEvent(heard.filledIn(event)),
  say: (text) => session.sendMessage(text),
  show: (image, text) =>
    session.sendMessage({
      type: 'message',
      role: 'user',
      content: [{ type: 'input_image', image }, { type: 'input_text', text }],
    }),
  speak(sound) {
    for (const packet of packets(sound)) {
      session.sendAudio(new Uint8Array(packet).buffer);
    }
  },
  answer_call() {}, // it does so without being told
};

await session.connect({
  apiKey: 'unused',
  url: `${url.replace('http', 'ws')}/v1/realtime?model=phi`,
});
await follow(flow, peer);
session.close();
process.exit(0);
