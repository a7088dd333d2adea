// @ts-check
/**
 * The ribbon in the dock: the last seconds heard. Bars in the accent colour are what the
 * server took for speech; the dots below are the pictures sent.
 */

import { peakOf } from "../pcm.js";
import { drawBar, fit, loudness } from "../waveform.js";

/** Chunks of 20 ms per bar. */
const CHUNKS_PER_BAR = 3;
const BAR_MS = CHUNKS_PER_BAR * 20;
const BAR_WIDTH = 3;
const BAR_PITCH = 5;
const MAX_BARS = 400;

/** @typedef {{peak: number, audioMs: number | null}} Bar audioMs is null when nothing was sent */

export class Ribbon {
  #canvas;
  /** @type {Bar[]} oldest first */
  #bars = [];
  #numChunks = 0;
  #isDrawPlanned = false;
  /** @type {() => {speech: readonly import("../protocol.js").Span[], frames: readonly number[]}} */
  #marks;

  /**
   * @param {HTMLCanvasElement} canvas its `color` is that of silence
   * @param {() => {speech: readonly import("../protocol.js").Span[], frames: readonly number[]}} marks
   *   what to mark now, in milliseconds of audio sent
   */
  constructor(canvas, marks) {
    this.#canvas = canvas;
    this.#marks = marks;
  }

  /**
   * @param {Int16Array} pcm 20 ms
   * @param {number | null} audioMs where it lies in what was sent, null when it was not
   */
  push(pcm, audioMs) {
    const peak = peakOf(pcm);
    if (this.#numChunks++ % CHUNKS_PER_BAR === 0) {
      this.#bars.push({ peak, audioMs });
      if (this.#bars.length > MAX_BARS) this.#bars.shift();
    } else {
      const bar = this.#bars[this.#bars.length - 1];
      bar.peak = Math.max(bar.peak, peak);
    }
    if (this.#isDrawPlanned) return;
    this.#isDrawPlanned = true;
    requestAnimationFrame(() => {
      this.#isDrawPlanned = false;
      this.#draw();
    });
  }

  clear() {
    this.#bars = [];
    fit(this.#canvas);
  }

  #draw() {
    const { context, width, height } = fit(this.#canvas);
    const style = getComputedStyle(this.#canvas);
    const accent = style.getPropertyValue("--accent");
    const { speech, frames } = this.#marks();
    const middle = height / 2 - 2;
    const reach = middle - 4;
    const num = Math.min(this.#bars.length, Math.floor(width / BAR_PITCH));
    for (let i = 0; i < num; i++) {
      const { peak, audioMs } = this.#bars[this.#bars.length - 1 - i];
      const x = width - BAR_WIDTH - i * BAR_PITCH;
      const isSpeech =
        audioMs !== null &&
        speech.some(
          ({ startMs, endMs }) => audioMs >= startMs && audioMs < (endMs ?? Infinity),
        );
      context.globalAlpha = audioMs === null ? 0.45 : 1;
      context.fillStyle = isSpeech ? accent : style.color;
      drawBar(context, { x, width: BAR_WIDTH, middle, reach, level: loudness(peak) });
      context.globalAlpha = 1;
      if (audioMs !== null && frames.some((at) => at >= audioMs && at < audioMs + BAR_MS)) {
        context.beginPath();
        context.arc(x + BAR_WIDTH / 2, height - 3, 2, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }
}
