// The arithmetic of the latency strip.
import assert from "node:assert/strict";
import { test } from "node:test";

import { latencyOf, median, sharesOf, spelled } from "../../web/latency.js";

const PLAIN = {
  speech_end_ms: 1000,
  soft_end_ms: 1200,
  hard_end_ms: 1500,
  committed_ms: 1500,
  admitted_ms: 1503,
  first_token_ms: 1590,
  first_byte_ms: 1600,
  done_ms: 2600,
};
const durations = ({ segments }) =>
  Object.fromEntries(segments.map(({ name, ms }) => [name, ms]));
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

test("a plain turn is cut at its instants", () => {
  const latency = latencyOf(PLAIN);
  assert.deepEqual(durations(latency), {
    endpointing: 500,
    queue: 3,
    prefill: 87,
    delivery: 10,
    streaming: 1000,
  });
  assert.equal(latency.firstWordsMs, 600);
  assert.equal(latency.readyEarlyMs, 0);
  assert.equal(latency.isFromSpeech, true);
});

test("an answer begun early costs no waiting and says how early it was", () => {
  const latency = latencyOf({
    ...PLAIN,
    admitted_ms: 1202,
    first_token_ms: 1300,
    first_byte_ms: 1502,
  });
  assert.deepEqual(durations(latency), {
    endpointing: 500,
    queue: 0,
    prefill: 0,
    delivery: 2,
    streaming: 1098,
  });
  assert.equal(latency.readyEarlyMs, 200);
  assert.equal(latency.firstWordsMs, 502);
});

test("the segments up to the first byte add up to the wait, early or not", () => {
  for (const first_token_ms of [1300, 1499, 1500, 1590]) {
    const latency = latencyOf({ ...PLAIN, admitted_ms: first_token_ms - 50, first_token_ms });
    const waited = sum(
      latency.segments.filter(({ name }) => name !== "streaming").map(({ ms }) => ms),
    );
    assert.equal(waited, latency.firstWordsMs);
  }
});

test("a written turn starts at its commit", () => {
  const latency = latencyOf({ ...PLAIN, speech_end_ms: null });
  assert.equal(latency.isFromSpeech, false);
  assert.equal(latency.firstWordsMs, 100);
  assert.equal("endpointing" in durations(latency), false);
});

test("an unknown instant gives its time to the next segment", () => {
  assert.deepEqual(durations(latencyOf({ ...PLAIN, admitted_ms: null })), {
    endpointing: 500,
    prefill: 90,
    delivery: 10,
    streaming: 1000,
  });
});

test("a turn cancelled before its first byte has no first words", () => {
  const latency = latencyOf({
    ...PLAIN,
    first_token_ms: null,
    first_byte_ms: null,
    done_ms: null,
  });
  assert.equal(latency.firstWordsMs, null);
  assert.deepEqual(durations(latency), { endpointing: 500, queue: 3 });
});

test("a timeline of nothing gives no segments", () => {
  assert.deepEqual(latencyOf({}).segments, []);
});

test("the shares add up to one and keep proportions", () => {
  const segments = latencyOf({ ...PLAIN, done_ms: 1700 }).segments;
  const { shares, isCut } = sharesOf(segments);
  assert.equal(isCut, false);
  assert.ok(Math.abs(sum(shares) - 1) < 1e-12);
  assert.ok(Math.abs(shares[0] - 500 / 700) < 1e-12);
});

test("long streaming is cut to two fifths, so that the wait stays readable", () => {
  const { shares, isCut } = sharesOf(latencyOf({ ...PLAIN, done_ms: 61_600 }).segments);
  assert.equal(isCut, true);
  assert.ok(Math.abs(sum(shares) - 1) < 1e-12);
  assert.equal(shares.at(-1), 0.4);
});

test("nothing but zeros, or nothing but streaming, still has finite shares", () => {
  assert.deepEqual(sharesOf([{ name: "queue", label: "", ms: 0 }]).shares, [0]);
  assert.deepEqual(sharesOf([{ name: "streaming", label: "", ms: 9 }]).shares, [1]);
});

test("durations are spelled for reading", () => {
  assert.deepEqual([3.4, 999, 1240, 12_345].map(spelled), [
    "3 ms",
    "999 ms",
    "1.24 s",
    "12.3 s",
  ]);
});

test("the median of nothing is nothing", () => {
  assert.equal(median([]), null);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([1, 9, 5, 7]), 6);
});
