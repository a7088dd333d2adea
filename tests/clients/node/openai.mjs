// The stock `openai` client over TLS: node openai.mjs URL FLOW.json
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { Heard, follow, packets } from './flows.mjs';

const [url, file] = process.argv.slice(2);
const flow = JSON.parse(readFileSync(file));
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

function ask(item) {
  socket.send({ type: 'conversation.item.create', item });
  socket.send({ type: 'response.create' });
}

const message = (...content) => ({ type: 'message', role: 'user', content });

const peer = {
  wait: (type) => heard.wait(type),
  send: (event) => socket.send(heard.filledIn(event)),
  say: (text) => ask(message({ type: 'input_text', text })),
  show: (image_url, text) =>
    ask(message({ type: 'input_image', image_url }, { type: 'input_text', text })),
  speak(sound) {
    for (const packet of packets(sound)) {
      socket.send({ type: 'input_audio_buffer.append', audio: packet.toString('base64') });
    }
  },
  answer_call(output) {
    const [{ call_id }] = heard.events.at(-1).response.output;
    ask({ type: 'function_call_output', call_id, output });
  },
};

await heard.wait('session.created');
if (flow.tools.length) {
  const session = { type: 'realtime', tools: flow.tools };
  socket.send({ type: 'session.update', session });
}
await follow(flow, peer);
socket.close();
process.exit(0);
