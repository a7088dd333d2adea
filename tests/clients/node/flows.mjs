// Carries out the steps of one flow of tests/clients/flows.py, which also judges what
// came: each event is written to standard output as one line of JSON.

const PATIENCE_MS = 60_000;
const PACKET_BYTES = 4800; // 100 ms of PCM16 at 24 kHz

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

  /** The event with the id of the last item of a role for "@role". */
  filledIn(event) {
    if (!event.item_id?.startsWith('@')) return event;
    const role = event.item_id.slice(1);
    const { item } = this.events.findLast(
      ({ type, item }) => type === 'conversation.item.added' && item.role === role,
    );
    return { ...event, item_id: item.id };
  }
}

/** Let a peer do the steps. */
export async function follow({ steps }, peer) {
  for (const [method, ...given] of steps) await peer[method](...given);
}

/** Cut sound, given in base64, into packets. */
export function* packets(sound) {
  const data = Buffer.from(sound, 'base64');
  for (let at = 0; at < data.length; at += PACKET_BYTES) {
    yield data.subarray(at, at + PACKET_BYTES);
  }
}
