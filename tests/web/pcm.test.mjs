// Conversion, resampling, cutting and keeping of samples.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CHUNK_SAMPLES,
  Chunker,
  PcmRing,
  Resampler,
  peakOf,
  toBase64,
  toPcm16,
} from "../../web/pcm.js";

function tone(hz, rateHz, numSamples) {
  return Float32Array.from({ length: numSamples }, (_, i) =>
    Math.sin((2 * Math.PI * hz * i) / rateHz),
  );
}

function rms(samples) {
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
}

function resampled(samples, from, to, block = samples.length) {
  const resampler = new Resampler(from, to);
  const out = [];
  for (let at = 0; at < samples.length; at += block) {
    out.push(...resampler.push(samples.subarray(at, at + block)));
  }
  return Float32Array.from(out);
}

test("full scale maps to full scale and beyond it is clipped", () => {
  assert.deepEqual(
    [...toPcm16(Float32Array.of(0, 1, -1, 1.5, -9, 0.5))],
    [0, 32767, -32767, 32767, -32767, 16384],
  );
});

test("the peak is the largest magnitude of either sign", () => {
  assert.equal(peakOf(Int16Array.of(3, -16384, 100)), 0.5);
});

test("base64 agrees with Node's, also past one slice", () => {
  const bytes = Uint8Array.from({ length: 70_001 }, (_, i) => (i * 31) & 255);
  assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"));
});

for (const rateHz of [48_000, 44_100, 32_000, 16_000]) {
  test(`a 1 kHz tone survives ${rateHz} Hz to 24 kHz within 0.1 %`, () => {
    const out = resampled(tone(1000, rateHz, rateHz), rateHz, 24_000).subarray(2000, 22_000);
    assert.ok(Math.abs(rms(out) - Math.SQRT1_2) < 0.001 * Math.SQRT1_2, `rms ${rms(out)}`);
  });

  test(`the output does not depend on how ${rateHz} Hz input is cut`, () => {
    const input = tone(440, rateHz, 4096);
    assert.deepEqual(resampled(input, rateHz, 24_000, 128), resampled(input, rateHz, 24_000));
  });
}

test("what lies above the new Nyquist rate is gone: 15 kHz by more than 60 dB", () => {
  const out = resampled(tone(15_000, 48_000, 48_000), 48_000, 24_000).subarray(2000, 22_000);
  assert.ok(rms(out) < 0.001, `rms ${rms(out)}`);
});

test("the first output sample stands at the first input sample: no added delay", () => {
  const impulse = new Float32Array(480);
  impulse[200] = 1;
  const out = resampled(impulse, 48_000, 24_000);
  assert.equal(out.indexOf(Math.max(...out)), 100);
});

test("ten seconds in are ten seconds out, up to the filter's length", () => {
  const out = resampled(new Float32Array(441_000), 44_100, 24_000, 128);
  assert.ok(out.length <= 240_000 && out.length > 240_000 - 40, `${out.length}`);
});

test("equal rates pass samples through", () => {
  const samples = tone(100, 24_000, 128);
  assert.equal(new Resampler(24_000, 24_000).push(samples), samples);
});

test("blocks of 128 become chunks of 480 in order", () => {
  const chunker = new Chunker();
  const chunks = [];
  for (let block = 0; block < 15; block++) {
    const samples = Float32Array.from({ length: 128 }, (_, i) => block * 128 + i);
    chunker.push(samples, (chunk) => chunks.push([...chunk]));
  }
  assert.equal(chunks.length, 4);
  assert.deepEqual(
    chunks.flat(),
    Array.from({ length: 4 * CHUNK_SAMPLES }, (_, i) => i),
  );
});

test("the ring returns what it still has of a span", () => {
  const ring = new PcmRing(10);
  for (let at = 0; at < 15; at += 3) ring.append(Int16Array.of(at, at + 1, at + 2));
  assert.equal(ring.numWritten, 15);
  assert.deepEqual([...ring.slice(7, 11)], [7, 8, 9, 10]);
  assert.deepEqual([...ring.slice(0, 7)], [5, 6]);
  assert.deepEqual([...ring.slice(13, 99)], [13, 14]);
  assert.deepEqual([...ring.slice(0, 2)], []);
});
