// What every stock client goes through, as in tests/clients/flows.py.
// Each event that comes is written to standard output as one line of JSON, for the
// validators; a flow that fails throws.
import assert from 'node:assert/strict';

const PATIENCE_MS = 60_000;
const PACKET_BYTES = 4800; // 100 ms of PCM16 at 24 kHz

export const WEATHER = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather of today.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', enum: ['Berlin', 'Paris'] } },
    required: ['city'],
    additionalProperties: false,
  },
};

const LADDER = [
  'input_audio_buffer.speech_started',
  'input_audio_buffer.speech_stopped',
  'input_audio_buffer.committed',
  'conversation.item.added',
  'conversation.item.done',
  'response.created',
  'response.output_item.added',
  'conversation.item.added',
  'response.content_part.added',
  'response.output_text.delta',
  'response.output_text.done',
  'response.content_part.done',
  'conversation.item.done',
  'response.output_item.done',
  'response.done',
];

/** The events of one client, in order; `wait` takes them one after the other. */
export class Heard {
  events = [];
  #next = 0;
  #wake = () => {};

  receive(event) {
    process.stdout.write(`${JSON.stringify(event)}\n`);
    this.events.push(event);
    this.#wake();
  }

  async wait(type) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      while (this.#next < this.events.length) {
        const event = this.events[this.#next++];
        if (event.type === 'error') throw new Error(JSON.stringify(event.error));
        if (event.type === type) return event;
      }
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${type} within ${PATIENCE_MS} ms`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }
}

/** Cut sound into packets. */
export function* packets(sound) {
  for (let at = 0; at < sound.length; at += PACKET_BYTES) {
    yield sound.subarray(at, at + PACKET_BYTES);
  }
}

export const textItem = (text) => ({
  type: 'message',
  role: 'user',
  content: [{ type: 'input_text', text }],
});

const textOf = (response) =>
  response.output
    .filter((item) => item.type === 'message')
    .flatMap((item) => item.content.map((part) => part.text))
    .join('');

const done = async (peer) => (await peer.wait('response.done')).response;

export const FLOWS = {
  async text(peer) {
    peer.say('Hello');
    const response = await done(peer);
    const deltas = peer.events.filter((e) => e.type === 'response.output_text.delta');
    assert.equal(deltas.map((e) => e.delta).join(''), textOf(response));
    assert.ok(textOf(response));
  },
  async 'tool round trip'(peer) {
    peer.offerTools();
    peer.say('How is the weather?');
    const call = await peer.wait('response.function_call_arguments.done');
    peer.answerCall(call);
    const [called] = (await done(peer)).output;
    assert.equal(called.name, 'get_weather');
    assert.equal(called.arguments, call.arguments);
    assert.ok(textOf(await done(peer)));
  },
  async image(peer, { jpeg }) {
    peer.show(`data:image/jpeg;base64,${jpeg.toString('base64')}`);
    const response = await done(peer);
    assert.ok(response.usage.input_token_details.image_tokens > 0);
    assert.ok(textOf(response));
  },
  async 'VAD turn'(peer, { sound }) {
    peer.speak(sound);
    const response = await done(peer);
    const rest = peer.events.map((event) => event.type);
    for (const type of LADDER) {
      const at = rest.indexOf(type);
      assert.ok(at >= 0, `${type} is missing or out of order`);
      rest.splice(0, at + 1);
    }
    assert.ok(response.usage.input_token_details.audio_tokens > 0);
  },
  async 'barge-in'(peer, { sound }) {
    peer.send({
      type: 'session.update',
      session: { type: 'realtime', max_output_tokens: 4000 },
    });
    peer.say('Tell me a long story.');
    await peer.wait('response.output_text.delta');
    peer.speak(sound);
    await peer.wait('input_audio_buffer.speech_started');
    const response = await done(peer);
    assert.equal(response.status_details.reason, 'turn_detected');
    await peer.wait('response.created');
    await peer.wait('response.output_text.delta');
  },
  async cancel(peer) {
    peer.say('Count to one hundred.');
    await peer.wait('response.output_text.delta');
    peer.send({ type: 'response.cancel' });
    assert.equal((await done(peer)).status_details.reason, 'client_cancelled');
  },
  async 'delete, retrieve'(peer) {
    peer.say('Hello');
    const [item] = (await done(peer)).output;
    peer.send({ type: 'conversation.item.retrieve', item_id: item.id });
    const retrieved = await peer.wait('conversation.item.retrieved');
    assert.deepEqual(retrieved.item.content, item.content);
    peer.send({ type: 'conversation.item.delete', item_id: item.id });
    assert.equal((await peer.wait('conversation.item.deleted')).item_id, item.id);
    peer.say('And now?');
    assert.ok(textOf(await done(peer)));
  },
};
