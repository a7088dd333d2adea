// What was written arrives once, whatever happens to the connection.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Letters } from "../../web/letters.js";

let letters, sent, isUp;
const send = (event) => isUp && sent.push(event) > 0;
const told = () => sent.splice(0).map(({ type, item, item_id }) => [type, item?.id ?? item_id]);
const flush = () => letters.flush(send);
const CREATE = "conversation.item.create";
const RETRIEVE = "conversation.item.retrieve";
const ANSWER = ["response.create", undefined];

beforeEach(() => {
  letters = new Letters();
  sent = [];
  isUp = true;
});

test("a letter is sent once, with the wish for an answer", () => {
  letters.write("a", "Hello", null);
  flush();
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER]);
});

test("without a connection letters wait, and keep their order", () => {
  isUp = false;
  letters.write("a", "Hello", null);
  letters.write("b", "Hello?", null);
  flush();
  isUp = true;
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER, [CREATE, "b"], ANSWER]);
});

test("what the server has confirmed is not asked after over the next connection", () => {
  letters.write("a", "Hello", null);
  flush();
  letters.receive({ type: "conversation.item.added", item: { id: "a" } });
  told();
  letters.doubt();
  flush();
  assert.deepEqual(told(), []);
});

test("what was not confirmed is asked after, and sent again only if it is not there", () => {
  letters.write("a", "Hello", null);
  flush();
  told();
  letters.doubt();
  flush();
  assert.equal(sent[0].event_id, "ask_a");
  assert.deepEqual(told(), [[RETRIEVE, "a"]]);
  const answer = { type: "error", error: { event_id: "ask_a", code: "any" } };
  assert.equal(letters.receive(answer), true, "this error is for nobody else");
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER]);
});

test("what had arrived is not sent again", () => {
  letters.write("a", "Hello", null);
  flush();
  told();
  letters.doubt();
  flush();
  told();
  assert.equal(letters.receive({ type: "conversation.item.retrieved", item: { id: "a" } }), true);
  letters.doubt();
  flush();
  assert.deepEqual(told(), []);
});

test("a letter that waits for its answer holds back those written after it", () => {
  letters.write("a", "Hello", null);
  flush();
  letters.doubt();
  flush();
  told();
  letters.write("b", "Hello?", null);
  flush();
  assert.deepEqual(told(), []);
  letters.receive({ type: "error", error: { event_id: "ask_a" } });
  flush();
  assert.deepEqual(told(), [[CREATE, "a"], ANSWER, [CREATE, "b"], ANSWER]);
});

test("a question that was lost is asked again over the connection after that", () => {
  letters.write("a", "Hello", null);
  flush();
  letters.doubt();
  flush();
  told();
  letters.doubt();
  flush();
  assert.deepEqual(told(), [[RETRIEVE, "a"]]);
});

test("a letter that the server refuses is not sent again, and the refusal is shown", () => {
  letters.write("a", "Hello", null);
  flush();
  const { event_id } = sent[0];
  told();
  assert.equal(letters.receive({ type: "error", error: { event_id } }), false);
  letters.doubt();
  flush();
  assert.deepEqual(told(), []);
});
