// What @openai/agents-realtime makes of server events. As a program: reads events from
// standard input, one a line, and writes the number and reason of each that is rejected.
import { realpathSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// Not exported: what the client itself judges each event with.
const schemas = './node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs';
const { parseRealtimeEvent, realtimeServerEventSchema } = await import(
  new URL(schemas, import.meta.url)
);
const known = new Set(realtimeServerEventSchema.options.map((o) => o.shape.type.value));

// No server can help it: its schema of an item has no pictures.
const isNoPicture = (part) => part.type !== 'input_image';

/** Why the client would take an event for one that it does not know; "" if it does not. */
export function why(event) {
  if (!known.has(event.type)) return '';
  const content = event.item?.content?.filter(isNoPicture);
  const shown = content ? { ...event, item: { ...event.item, content } } : event;
  if (!parseRealtimeEvent({ data: JSON.stringify(shown) }).isGeneric) return '';
  const { error } = realtimeServerEventSchema.safeParse(shown);
  return `agents-realtime rejects ${JSON.stringify(event).slice(0, 300)}: ${error}`;
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  let number = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const reason = why(JSON.parse(line));
    if (reason) console.log(JSON.stringify([number, reason]));
    number += 1;
  }
}
