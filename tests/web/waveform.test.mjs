// Bars from samples.
import assert from "node:assert/strict";
import { test } from "node:test";

import { barsOf, loudness } from "../../web/waveform.js";

test("each bar shows the peak of its own slice", () => {
  const pcm = new Int16Array(100);
  pcm[60] = -32768;
  const bars = barsOf(pcm, 10);
  assert.equal(bars.length, 10);
  assert.deepEqual(
    bars.map((level) => level === 1),
    Array.from({ length: 10 }, (_, i) => i === 6),
  );
});

test("no sound gives bars of zero", () => {
  assert.deepEqual(barsOf(new Int16Array(0), 3), [0, 0, 0]);
});

test("loudness keeps the ends and lifts what is quiet", () => {
  assert.equal(loudness(0), 0);
  assert.equal(loudness(1), 1);
  assert.ok(loudness(0.05) > 0.1);
});
