// @ts-check
/**
 * The camera frames sent lately. The server names the ones it used by the time stamp that
 * the page gave them, so they are shown from here and never travel back. Pure.
 */

/**
 * @typedef {{timestampMs: number, jpeg: Blob, audioMs: number, sessionMs?: number | null}} SentFrame
 *   `audioMs`: how much audio had been sent when the frame was taken; places it in the
 *   utterance without comparing clocks. `sessionMs`: the server's time of a picture that it
 *   took from a track by itself.
 */

/** Frames kept: 20 s at two per second. */
const CAPACITY = 40;

/** Time stamps cross the wire as JSON numbers and may be rounded to the millisecond. */
const TOLERANCE_MS = 1;

/** Pictures are kept twice a second, and the two clocks are compared over a network. */
const MAX_APART_MS = 400;

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
   * The picture nearest to one that the server took from the camera's track.
   * @param {number} sessionMs
   * @returns {SentFrame | null}
   */
  near(sessionMs) {
    let nearest = null;
    let least = MAX_APART_MS;
    for (const frame of this.#frames) {
      const apart = Math.abs((frame.sessionMs ?? Infinity) - sessionMs);
      if (apart <= least) [nearest, least] = [frame, apart];
    }
    return nearest;
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
