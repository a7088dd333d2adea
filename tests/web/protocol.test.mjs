// The fold over the documented event ladders, one test per flow.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as protocol from "../../web/protocol.js";

/** @param {object[]} events */
function fold(events, conversation = protocol.EMPTY) {
  return events.reduce(protocol.receive, conversation);
}

const created = { type: "session.created", session: { id: "sess_1", model: "phi" } };
const started = (id, ms) => ({
  type: "input_audio_buffer.speech_started",
  item_id: id,
  audio_start_ms: ms,
});
const stopped = (id, ms) => ({
  type: "input_audio_buffer.speech_stopped",
  item_id: id,
  audio_end_ms: ms,
});
const committed = (id) => ({ type: "input_audio_buffer.committed", item_id: id });
const item = (id, content) => ({
  type: "conversation.item.added",
  item: { id, type: "message", role: "user", content },
});
const heard = (id) => item(id, [{ type: "input_audio", transcript: null }]);
const answering = (id) => ({ type: "response.created", response: { id } });
const delta = (id, text) => ({
  type: "response.output_text.delta",
  response_id: id,
  delta: text,
});
const text = (id, whole) => ({
  type: "response.output_text.done",
  response_id: id,
  text: whole,
});
const done = (id, status = "completed", more = {}) => ({
  type: "response.done",
  response: { id, status, status_details: null, ...more },
});
const spoken = (id, from, to) => [started(id, from), stopped(id, to), committed(id), heard(id)];

test("a spoken turn becomes one turn with its span, its answer and what it saw", () => {
  const frames = [{ id: "f", timestamp_ms: 7, captured_ms: 900, used: true, reason: "newest" }];
  const timeline = { speech_end_ms: 1500, first_byte_ms: 2100 };
  const { turns, model } = fold([
    created,
    ...spoken("u1", 400, 2000),
    answering("r1"),
    delta("r1", "Hello"),
    delta("r1", " there"),
    text("r1", "Hello there"),
    done("r1", "completed", { assistant: { frames, timeline } }),
  ]);
  assert.equal(model, "phi");
  assert.equal(turns.length, 1);
  assert.deepEqual(turns[0].speech, { startMs: 400, endMs: 2000 });
  assert.equal(turns[0].words, null);
  assert.equal(turns[0].reply.text, "Hello there");
  assert.equal(turns[0].reply.status, "completed");
  assert.deepEqual(turns[0].reply.frames, frames);
  assert.deepEqual(turns[0].reply.timeline, timeline);
});

test("a server without the vendor key gives an answer without frames and timeline", () => {
  const { turns } = fold([created, ...spoken("u1", 0, 9), answering("r1"), done("r1")]);
  assert.deepEqual(turns[0].reply.frames, []);
  assert.equal(turns[0].reply.timeline, null);
});

test("the phase follows the ladder", () => {
  const ladder = [
    [created, "listening"],
    [started("u1", 0), "hearing"],
    [stopped("u1", 900), "listening"],
    [committed("u1"), "thinking"],
    [answering("r1"), "thinking"],
    [delta("r1", "Yes"), "answering"],
    [done("r1"), "listening"],
  ];
  let conversation = protocol.EMPTY;
  for (const [event, phase] of ladder) {
    conversation = protocol.receive(conversation, event);
    assert.equal(protocol.phaseOf(conversation), phase, event.type);
  }
});

test("barge-in keeps the words that came, drops late ones, and opens the next turn", () => {
  const cancelled = { status_details: { type: "cancelled", reason: "turn_detected" } };
  const { turns } = fold([
    created,
    ...spoken("u1", 0, 1000),
    answering("r1"),
    delta("r1", "The bridge"),
    started("u2", 3000),
    text("r1", "The bridge"),
    done("r1", "cancelled", cancelled),
    delta("r1", " was late"),
    stopped("u2", 4000),
    committed("u2"),
    answering("r2"),
    delta("r2", "Sure"),
  ]);
  assert.equal(turns.length, 2);
  assert.equal(turns[0].reply.text, "The bridge");
  assert.equal(turns[0].reply.status, "cancelled");
  assert.equal(turns[0].reply.reason, "turn_detected");
  assert.equal(turns[1].reply.text, "Sure");
});

test("a cancel by the client leaves the turn closed and nothing answering", () => {
  const cancelled = { status_details: { type: "cancelled", reason: "client_cancelled" } };
  const before = fold([created, ...spoken("u1", 0, 1000), answering("r1"), delta("r1", "A")]);
  assert.equal(protocol.isAnswering(before), true);
  const after = fold([done("r1", "cancelled", cancelled)], before);
  assert.equal(protocol.isAnswering(after), false);
  assert.equal(after.turns[0].reply.reason, "client_cancelled");
});

test("an answer that is due and not announced yet can be cancelled, too", () => {
  const due = fold([created, ...spoken("u1", 0, 1000)]);
  assert.equal(protocol.isAnswering(due), true);
  assert.equal(protocol.isAnswering(fold([created, started("u1", 0)])), false);
});

test("a failure shows the server's message", () => {
  const failed = { status_details: { type: "failed", error: { message: "engine is gone" } } };
  const { turns } = fold([
    created,
    ...spoken("u1", 0, 9),
    answering("r1"),
    done("r1", "failed", failed),
  ]);
  assert.equal(turns[0].reply.status, "failed");
  assert.equal(turns[0].reply.reason, "engine is gone");
});

test("push-to-talk takes its span from what was held", () => {
  const held = protocol.hold(fold([created]), { startMs: 5000, endMs: 6200 });
  const { turns, held: left } = fold([committed("u1"), heard("u1"), answering("r1")], held);
  assert.deepEqual(turns[0].speech, { startMs: 5000, endMs: 6200 });
  assert.equal(left, null);
  assert.equal(turns[0].reply.status, "in_progress");
});

test("written words and photos are shown from the item", () => {
  const content = [{ type: "input_image" }, { type: "input_text", text: "What is this?" }];
  const { turns } = fold([created, item("u1", content), answering("r1")]);
  assert.equal(turns[0].words, "What is this?");
  assert.equal(turns[0].hasPhoto, true);
  assert.equal(turns[0].reply.id, "r1");
});

test("transcription fills in the words", () => {
  const kind = "conversation.item.input_audio_transcription";
  const heardSome = fold([
    created,
    ...spoken("u1", 0, 9),
    { type: `${kind}.delta`, item_id: "u1", delta: "how " },
    { type: `${kind}.delta`, item_id: "u1", delta: "old" },
  ]);
  assert.equal(heardSome.turns[0].words, "how old");
  const all = fold(
    [{ type: `${kind}.completed`, item_id: "u1", transcript: "How old?" }],
    heardSome,
  );
  assert.equal(all.turns[0].words, "How old?");
});

test("speech that was never committed disappears when the next one starts", () => {
  const { turns } = fold([created, started("u1", 0), stopped("u1", 300), started("u2", 900)]);
  assert.deepEqual(
    turns.map(({ itemId }) => itemId),
    ["u2"],
  );
});

test("speech under way survives events of an earlier answer", () => {
  const { turns } = fold([
    created,
    ...spoken("u1", 0, 9),
    answering("r1"),
    started("u2", 50),
    done("r1", "cancelled"),
  ]);
  assert.deepEqual(
    turns.map(({ itemId }) => itemId),
    ["u1", "u2"],
  );
});

test("a lost connection closes the open answer; the next session may reuse its ids", () => {
  const first = fold([created, ...spoken("u1", 0, 9), answering("r1"), delta("r1", "Half")]);
  const down = protocol.disconnect(first);
  assert.equal(down.turns[0].reply.status, "lost");
  const { turns } = fold(
    [created, ...spoken("u1", 0, 9), answering("r1"), delta("r1", "New")],
    down,
  );
  assert.deepEqual(
    turns.map(({ reply }) => reply.text),
    ["Half", "New"],
  );
  assert.notEqual(turns[0].key, turns[1].key);
});

test("deleted items leave, unknown events and responses change nothing", () => {
  const conversation = fold([created, ...spoken("u1", 0, 9)]);
  for (const event of [{ type: "rate_limits.updated" }, delta("nobody", "x"), done("nobody")]) {
    assert.equal(protocol.receive(conversation, event), conversation);
  }
  const { turns } = fold([{ type: "conversation.item.deleted", item_id: "u1" }], conversation);
  assert.deepEqual(turns, []);
});

test("turns that did not change are the same objects", () => {
  const one = fold([created, ...spoken("u1", 0, 9), answering("r1"), done("r1")]);
  const two = fold(spoken("u2", 50, 90), one);
  assert.equal(two.turns[0], one.turns[0]);
});

test("a response without a user turn stands alone", () => {
  const { turns } = fold([created, answering("r1"), delta("r1", "Hi")]);
  assert.equal(turns[0].itemId, null);
  assert.equal(turns[0].reply.text, "Hi");
});

test("client events have the documented shape", () => {
  const free = protocol.sessionUpdate(true).session;
  assert.deepEqual(free.output_modalities, ["text"]);
  assert.deepEqual(free.audio.input.format, { type: "audio/pcm", rate: 24000 });
  assert.equal(free.audio.input.turn_detection.type, "server_vad");
  assert.deepEqual(free.assistant, { events: ["metrics"] });
  assert.equal(protocol.sessionUpdate(false).session.audio.input.turn_detection, null);
  const watch = { instruction: "Is it red?" };
  const wishing = protocol.sessionUpdate(true, { speaks_aloud: "yes", watch }).session;
  assert.deepEqual(wishing.assistant, { events: ["metrics"], speaks_aloud: "yes", watch });
  assert.deepEqual(protocol.appendImage("AA==", 12), {
    type: "input_image_buffer.append",
    image: "AA==",
    timestamp_ms: 12,
  });
  assert.deepEqual(protocol.createUserItem("i", "Hi", "data:image/jpeg;base64,AA==").item, {
    id: "i",
    type: "message",
    role: "user",
    content: [
      { type: "input_image", image_url: "data:image/jpeg;base64,AA==" },
      { type: "input_text", text: "Hi" },
    ],
  });
});
