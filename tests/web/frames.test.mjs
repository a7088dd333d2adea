// Frames kept for showing beside the answer.
import assert from "node:assert/strict";
import { test } from "node:test";

import { SentFrames } from "../../web/frames.js";

const frame = (timestampMs, audioMs = timestampMs) => ({
  timestampMs,
  audioMs,
  jpeg: new Blob([]),
});

test("a frame is found by the time stamp that was sent with it", () => {
  const frames = new SentFrames();
  frames.keep(frame(500));
  frames.keep(frame(1000));
  assert.equal(frames.find(1000)?.timestampMs, 1000);
  assert.equal(frames.find(750), null);
});

test("only the newest forty are kept", () => {
  const frames = new SentFrames();
  for (let i = 0; i < 41; i++) frames.keep(frame(i * 500));
  assert.equal(frames.find(0), null);
  assert.notEqual(frames.find(500), null);
});

test("frames lie in the audio span in which they were taken, its end excluded", () => {
  const frames = new SentFrames();
  for (const at of [0, 500, 1000]) frames.keep(frame(at + 70_000, at));
  assert.deepEqual(
    frames.between(500, 1000).map(({ audioMs }) => audioMs),
    [500],
  );
});
