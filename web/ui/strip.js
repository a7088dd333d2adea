// @ts-check
/** The latency strip under an answer: a bar of segments and their numbers. */

import { latencyOf, sharesOf, spelled } from "../latency.js";
import { make } from "./dom.js";

/**
 * @param {import("../latency.js").Timeline} timeline
 * @returns {HTMLElement | null} null when the timeline says nothing
 */
export function strip(timeline) {
  const { segments, firstWordsMs, readyEarlyMs, isFromSpeech } = latencyOf(timeline);
  if (segments.length === 0) return null;
  const { shares, isCut } = sharesOf(segments);
  const track = make("div", "track");
  track.setAttribute("aria-hidden", "true");
  const key = make("ul", "key");
  const total = make("p", "total");
  if (firstWordsMs !== null) {
    const since = isFromSpeech ? "after you stopped" : "after you sent it";
    total.append("First words ", make("b", "", spelled(firstWordsMs)), ` ${since}`);
  }
  segments.forEach(({ name, label, ms }, index) => {
    if (shares[index] > 0) {
      const segment = make("span", "segment");
      segment.dataset.step = name;
      segment.style.flexGrow = String(shares[index]);
      if (isCut && name === "streaming") segment.dataset.cut = "";
      segment.title = `${label} ${spelled(ms)}`;
      track.append(segment);
    }
    const entry = make("li", "", label, make("b", "", spelled(ms)));
    entry.dataset.step = name;
    key.append(entry);
  });
  if (readyEarlyMs > 0) {
    key.append(
      make("li", "early", `answer begun ${spelled(readyEarlyMs)} before the turn closed`),
    );
  }
  return make("div", "strip", total, track, key);
}
