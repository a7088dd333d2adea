// @ts-check
/**
 * Where a turn's time went: arithmetic for the strip under each answer. Pure.
 *
 * The server names instants in session milliseconds (`response.assistant.timeline`). The
 * segments are the critical path, what the person waited for: an instant that lies before
 * its predecessor (an answer begun at the first pause is ready before the turn is
 * committed) costs nothing and is reported as `readyEarlyMs` instead.
 */

/**
 * @typedef {Partial<Record<
 *   "speech_end_ms" | "soft_end_ms" | "hard_end_ms" | "committed_ms" | "admitted_ms" |
 *   "first_token_ms" | "first_byte_ms" | "done_ms", number | null>>} Timeline
 * @typedef {{name: string, label: string, ms: number}} Segment
 * @typedef {{segments: Segment[], firstWordsMs: number | null, readyEarlyMs: number,
 *   isFromSpeech: boolean}} Latency
 */

/** @type {{until: keyof Timeline, name: string, label: string}[]} */
const STEPS = [
  { until: "committed_ms", name: "endpointing", label: "end of speech" },
  { until: "admitted_ms", name: "queue", label: "queue" },
  { until: "first_token_ms", name: "prefill", label: "first token" },
  { until: "first_byte_ms", name: "delivery", label: "first byte" },
  { until: "done_ms", name: "streaming", label: "streaming" },
];

/** What of the strip streaming may take, so that a long answer does not hide the wait. */
const MAX_STREAMING_SHARE = 0.4;

/**
 * Cut a turn's timeline into segments. An unknown instant adds its time to the next one.
 * @param {Timeline} timeline
 * @returns {Latency}
 */
export function latencyOf(timeline) {
  const start = timeline.speech_end_ms ?? timeline.committed_ms ?? null;
  /** @type {Segment[]} */
  const segments = [];
  if (start !== null) {
    let reached = start;
    for (const { until, name, label } of STEPS) {
      const instant = timeline[until] ?? null;
      if (instant === null || (until === "committed_ms" && instant === start)) continue;
      segments.push({ name, label, ms: Math.max(0, instant - reached) });
      reached = Math.max(reached, instant);
    }
  }
  const { committed_ms: committed, first_token_ms: token, first_byte_ms: byte } = timeline;
  return {
    segments,
    firstWordsMs: start === null || byte == null ? null : Math.max(0, byte - start),
    readyEarlyMs: committed == null || token == null ? 0 : Math.max(0, committed - token),
    isFromSpeech: timeline.speech_end_ms != null,
  };
}

/**
 * Width of each segment as a share of the strip; they add up to 1.
 * @param {Segment[]} segments
 * @returns {{shares: number[], isCut: boolean}} isCut: streaming is drawn shorter than it was
 */
export function sharesOf(segments) {
  const streaming = segments.find(({ name }) => name === "streaming")?.ms ?? 0;
  const total = segments.reduce((sum, { ms }) => sum + ms, 0);
  if (total === 0) return { shares: segments.map(() => 0), isCut: false };
  const waiting = total - streaming;
  const isCut = waiting > 0 && streaming / total > MAX_STREAMING_SHARE;
  const shares = segments.map(({ name, ms }) => {
    if (!isCut) return ms / total;
    return name === "streaming"
      ? MAX_STREAMING_SHARE
      : (ms / waiting) * (1 - MAX_STREAMING_SHARE);
  });
  return { shares, isCut };
}

/**
 * A duration in words: "84 ms", "1.24 s".
 * @param {number} ms
 */
export function spelled(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/**
 * @param {number[]} values
 * @returns {number | null} null when there are none
 */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
