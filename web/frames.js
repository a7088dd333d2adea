// @ts-check
/**
 * The camera frames sent lately. The server names the ones it used by the time stamp that
 * the page gave them, so they are shown from here and never travel back. Pure.
 */

/**
 * @typedef {{timestampMs: number, jpeg: Blob, audioMs: number}} SentFrame
 *   `audioMs`: how much audio had been sent when the frame was taken; places it in the
 *   utterance without comparing clocks.
 */

/** Frames kept: 20 s at two per second. */
const CAPACITY = 40;

/** Time stamps cross the wire as JSON numbers and may be rounded to the millisecond. */
const TOLERANCE_MS = 1;

export class SentFrames {
  /** @type {SentFrame[]} oldest first */
  #frames = [];

  /** @param {SentFrame} frame */
  keep(frame) {
    this.#frames.push(frame);
    if (this.#frames.length > CAPACITY) this.#frames.shift();
  }

  /**
   * @param {number} timestampMs
   * @returns {SentFrame | null} null when it was never sent or is no longer kept
   */
  find(timestampMs) {
    return (
      this.#frames.find((frame) => Math.abs(frame.timestampMs - timestampMs) <= TOLERANCE_MS) ??
      null
    );
  }

  /**
   * Frames taken within a span of the audio sent, oldest first.
   * @param {number} startMs
   * @param {number} endMs
   */
  between(startMs, endMs) {
    return this.#frames.filter(({ audioMs }) => audioMs >= startMs && audioMs < endMs);
  }
}
