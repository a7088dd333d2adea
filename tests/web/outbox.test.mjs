// What was written arrives once, whatever happens to the connection.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Outbox } from "../../web/outbox.js";

let outbox, sent, isUp;
const send = (event) => isUp && sent.push(event) > 0;
const told = () => sent.splice(0).map(({ type, item, item_id }) => [type, item?.id ?? item_id]);
const flush = () => outbox.flush(send);
const CREATE = "conversation.item.create";
const RETRIEVE = "conversation.item.retrieve";
const ANSWER = ["response.create", undefined];

/** One message goes out over a connection that is then lost; the next one is there. */
function sendAndLose() {
  outbox.write("a", "Hello", null);
  flush();
  told();
  outbox.doubt();
  flush();
}

beforeEach(() => {
  outbox = new Outbox();
  sent = [];
  isUp = true;
});

test("a message is sent once, with the wish for an answer", () => {
  outbox.write("a", "Hello", null);
  flush();
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER]);
});

test("without a connection messages wait, and keep their order", () => {
  isUp = false;
  outbox.write("a", "Hello", null);
  outbox.write("b", "Hello?", null);
  flush();
  isUp = true;
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER, [CREATE, "b"], ANSWER]);
});

test("what the server has confirmed is not asked after over the next connection", () => {
  outbox.write("a", "Hello", null);
  flush();
  outbox.receive({ type: "conversation.item.added", item: { id: "a" } });
  told();
  outbox.doubt();
  flush();
  assert.deepEqual(told(), []);
});

test("what was not confirmed is asked after, and sent again only if it is not there", () => {
  sendAndLose();
  assert.equal(sent[0].event_id, "ask_a");
  assert.deepEqual(told(), [[RETRIEVE, "a"]]);
  const answer = { type: "error", error: { event_id: "ask_a", code: "any" } };
  assert.equal(outbox.receive(answer), true, "this error is for nobody else");
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER]);
});

test("what had arrived is not sent again", () => {
  sendAndLose();
  told();
  assert.equal(outbox.receive({ type: "conversation.item.retrieved", item: { id: "a" } }), true);
  outbox.doubt();
  flush();
  assert.deepEqual(told(), []);
});

test("a message that waits for its answer holds back those written after it", () => {
  sendAndLose();
  told();
  outbox.write("b", "Hello?", null);
  flush();
  assert.deepEqual(told(), []);
  outbox.receive({ type: "error", error: { event_id: "ask_a" } });
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER, [CREATE, "b"], ANSWER]);
});

test("a question that was lost is asked again over the connection after that", () => {
  sendAndLose();
  told();
  outbox.doubt();
  flush();
  assert.deepEqual(told(), [[RETRIEVE, "a"]]);
});

test("a message that the server refuses is not sent again, and the refusal is shown", () => {
  outbox.write("a", "Hello", null);
  flush();
  const { event_id } = sent[0];
  told();
  assert.equal(outbox.receive({ type: "error", error: { event_id } }), false);
  outbox.doubt();
  flush();
  assert.deepEqual(told(), []);
});
