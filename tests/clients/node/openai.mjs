// The stock `openai` client over TLS: node openai.mjs URL FLOW SOUND JPEG
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { FLOWS, Heard, WEATHER, packets, textItem } from './flows.mjs';

const [url, flow, sound, jpeg] = process.argv.slice(2);
const client = new OpenAI({ apiKey: 'unused', baseURL: `${url}/v1` });
// The certificate is one that nobody vouches for.
const socket = new OpenAIRealtimeWS(
  { model: 'phi', options: { rejectUnauthorized: false } },
  client,
);
const heard = new Heard();
socket.on('event', (event) => heard.receive(event));
socket.on('error', (error) => {
  if (!error.error) throw error; // else it is an event, which was received as one
});

const peer = {
  events: heard.events,
  wait: (type) => heard.wait(type),
  send: (event) => socket.send(event),
  say(text) {
    socket.send({ type: 'conversation.item.create', item: textItem(text) });
    socket.send({ type: 'response.create' });
  },
  show(url) {
    const item = textItem('What do you see?');
    item.content.unshift({ type: 'input_image', image_url: url });
    socket.send({ type: 'conversation.item.create', item });
    socket.send({ type: 'response.create' });
  },
  speak(sound) {
    for (const packet of packets(sound)) {
      socket.send({ type: 'input_audio_buffer.append', audio: packet.toString('base64') });
    }
  },
  offerTools() {
    const session = { type: 'realtime', tools: [WEATHER], tool_choice: 'required' };
    socket.send({ type: 'session.update', session });
  },
  answerCall({ call_id }) {
    const item = { type: 'function_call_output', call_id, output: 'sunny' };
    socket.send({ type: 'conversation.item.create', item });
    socket.send({ type: 'response.create', response: { tool_choice: 'none' } });
  },
};

await heard.wait('session.created');
await FLOWS[flow](peer, { sound: readFileSync(sound), jpeg: readFileSync(jpeg) });
socket.close();
process.exit(0);
