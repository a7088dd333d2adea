// @ts-check
/** Drawing sound: bars of equal width, one per slice of time. Touches only the canvas given. */

/**
 * A peak on a scale that shows quiet speech too, from 0 to 1.
 * @param {number} peak from 0 to 1
 */
export const loudness = (peak) => peak ** 0.6;

/**
 * Loudness of each of `count` equal slices.
 * @param {Int16Array} pcm
 * @param {number} count
 * @returns {number[]}
 */
export function barsOf(pcm, count) {
  const bars = [];
  for (let bar = 0; bar < count; bar++) {
    let peak = 0;
    const end = Math.floor(((bar + 1) * pcm.length) / count);
    for (let i = Math.floor((bar * pcm.length) / count); i < end; i++) {
      peak = Math.max(peak, Math.abs(pcm[i]));
    }
    bars.push(loudness(peak / 32768));
  }
  return bars;
}

/**
 * Fit a canvas to its box and to the screen's pixels, and clear it.
 * @param {HTMLCanvasElement} canvas
 * @returns {{context: CanvasRenderingContext2D, width: number, height: number}} CSS pixels
 */
export function fit(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const scale = globalThis.devicePixelRatio || 1;
  if (
    canvas.width !== Math.round(width * scale) ||
    canvas.height !== Math.round(height * scale)
  ) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/**
 * One bar, rounded, standing on both sides of the middle line.
 * @param {CanvasRenderingContext2D} context
 * @param {{x: number, width: number, middle: number, reach: number, level: number}} bar
 *   `reach`: half the height of a bar of level 1
 */
export function drawBar(context, { x, width, middle, reach, level }) {
  const half = Math.max(width / 2, level * reach);
  context.beginPath();
  context.roundRect(x, middle - half, width, 2 * half, width / 2);
  context.fill();
}
