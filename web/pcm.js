// @ts-check
/**
 * Samples: conversion, resampling, cutting and keeping. Pure; used by the page, by the
 * microphone worklet and by the Node tests. Knows no device and no socket.
 *
 * The wire is 16 bit mono PCM at 24 kHz, little endian. Every machine a browser runs on
 * is little endian, so an Int16Array's bytes are the wire's bytes.
 */

/** Sample rate on the wire. */
export const RATE_HZ = 24000;

/** Samples per chunk on the wire: 20 ms. */
export const CHUNK_SAMPLES = 480;

/** @param {number} samples on the wire */
export const msOf = (samples) => (samples / RATE_HZ) * 1000;

/** @param {number} ms */
export const samplesOf = (ms) => Math.round((ms / 1000) * RATE_HZ);

/**
 * Quantise samples.
 * @param {Float32Array} samples in [-1, 1]; what lies outside is clipped
 * @returns {Int16Array<ArrayBuffer>}
 */
export function toPcm16(samples) {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    pcm[i] = Math.round(Math.max(-1, Math.min(1, samples[i])) * 32767);
  }
  return pcm;
}

/**
 * Largest magnitude of the samples, from 0 to 1.
 * @param {Int16Array} pcm
 */
export function peakOf(pcm) {
  let peak = 0;
  for (const sample of pcm) peak = Math.max(peak, Math.abs(sample));
  return peak / 32768;
}

/**
 * Base64 of bytes. In slices, because a function takes only so many arguments.
 * @param {Uint8Array} bytes
 */
export function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

/**
 * Streaming resampler: a windowed sinc, one filter per output phase.
 *
 * The ratio is kept as a fraction, so the phases repeat exactly and no drift builds up
 * over a long call. The output does not depend on how the input is cut into blocks.
 */
export class Resampler {
  /** Zero crossings of the sinc on each side; more is steeper and slower. */
  static #CROSSINGS = 16;

  #up;
  #down;
  /** @type {Float32Array[]} one filter per phase, oldest sample first */
  #filters = [];
  #numTaps;
  /** @type {Float32Array} input not yet left behind, the filter's past first */
  #pending;
  /** Position of the next output, in units of 1/up input samples from pending[0]. */
  #position = 0;

  /**
   * @param {number} fromHz whole number
   * @param {number} toHz whole number
   */
  constructor(fromHz, toHz) {
    const divisor = greatestCommonDivisor(fromHz, toHz);
    this.#up = toHz / divisor;
    this.#down = fromHz / divisor;
    // Cut a little below the lower Nyquist rate, so that the slope ends near it.
    const cutoff = 0.94 * Math.min(1, toHz / fromHz);
    const half = Math.ceil(Resampler.#CROSSINGS / cutoff);
    this.#numTaps = 2 * half;
    this.#pending = new Float32Array(half - 1);
    for (let phase = 0; phase < this.#up; phase++) {
      this.#filters.push(sincFilter(half, phase / this.#up, cutoff));
    }
  }

  /**
   * Take the next input, return what output it completes.
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  push(samples) {
    if (this.#up === this.#down) return samples;
    const input = new Float32Array(this.#pending.length + samples.length);
    input.set(this.#pending);
    input.set(samples, this.#pending.length);
    const last = input.length - this.#numTaps;
    const count =
      last < 0
        ? 0
        : Math.max(
            0,
            Math.floor((last * this.#up + this.#up - 1 - this.#position) / this.#down) + 1,
          );
    const output = new Float32Array(count);
    for (let n = 0; n < count; n++) {
      const start = Math.floor(this.#position / this.#up);
      const filter = this.#filters[this.#position % this.#up];
      let sum = 0;
      for (let tap = 0; tap < this.#numTaps; tap++) sum += input[start + tap] * filter[tap];
      output[n] = sum;
      this.#position += this.#down;
    }
    const left = Math.min(Math.floor(this.#position / this.#up), input.length);
    this.#pending = input.slice(left);
    this.#position -= left * this.#up;
    return output;
  }
}

/**
 * @param {number} half taps on each side
 * @param {number} phase where between the two middle taps the output lies, [0, 1)
 * @param {number} cutoff as a share of the input's Nyquist rate
 */
function sincFilter(half, phase, cutoff) {
  const taps = new Float32Array(2 * half);
  let sum = 0;
  for (let tap = 0; tap < taps.length; tap++) {
    const x = tap - (half - 1) - phase;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
    taps[tap] = sinc * window;
    sum += taps[tap];
  }
  return taps.map((tap) => tap / sum);
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Cuts a stream of any block size into chunks of CHUNK_SAMPLES. */
export class Chunker {
  #chunk = new Float32Array(CHUNK_SAMPLES);
  #filled = 0;

  /**
   * @param {Float32Array} samples
   * @param {(chunk: Float32Array) => void} emit gets a view that the next chunk overwrites
   */
  push(samples, emit) {
    for (let at = 0; at < samples.length;) {
      const taken = Math.min(samples.length - at, CHUNK_SAMPLES - this.#filled);
      this.#chunk.set(samples.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === CHUNK_SAMPLES) {
        this.#filled = 0;
        emit(this.#chunk);
      }
    }
  }
}

/** The newest samples of a stream, addressed by their index since its start. */
export class PcmRing {
  #samples;
  /** Samples written since the start, kept or not. */
  numWritten = 0;

  /** @param {number} capacity in samples */
  constructor(capacity) {
    this.#samples = new Int16Array(capacity);
  }

  /** @param {Int16Array} pcm */
  append(pcm) {
    for (const sample of pcm) this.#samples[this.numWritten++ % this.#samples.length] = sample;
  }

  /**
   * Samples of [start, end) that are still kept; older ones are left out.
   * @param {number} start
   * @param {number} end
   */
  slice(start, end) {
    const from = Math.max(start, this.numWritten - this.#samples.length, 0);
    const to = Math.min(end, this.numWritten);
    const pcm = new Int16Array(Math.max(0, to - from));
    for (let i = 0; i < pcm.length; i++)
      pcm[i] = this.#samples[(from + i) % this.#samples.length];
    return pcm;
  }
}
