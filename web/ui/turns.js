// @ts-check
/** The conversation as a page: one element per turn, changed only where the turn changed. */

import { spelled } from "../latency.js";
import { barsOf, drawBar, fit } from "../waveform.js";
import { make, write } from "./dom.js";
import { strip } from "./strip.js";

/**
 * @typedef {import("../protocol.js").Turn} Turn
 * @typedef {import("../protocol.js").Frame} Frame
 * @typedef {object} Sources what a turn shows and the protocol does not carry
 * @property {(span: import("../protocol.js").Span) => Int16Array} sound
 * @property {(timestampMs: number) => import("../frames.js").SentFrame | null} frame
 * @property {(sessionMs: number) => import("../frames.js").SentFrame | null} frameNear
 * @property {(itemId: string) => string | null} photo a URL
 */

const PX_PER_S = 56;
const MIN_SOUND_PX = 48;
const MAX_SOUND_PX = 300;
const BAR_PITCH = 4;

export class TurnsView {
  #root;
  #sources;
  /** @type {Map<string, TurnView>} */
  #views = new Map();

  /**
   * @param {HTMLElement} root
   * @param {Sources} sources
   */
  constructor(root, sources) {
    this.#root = root;
    this.#sources = sources;
  }

  /** @param {import("../protocol.js").Conversation} conversation */
  show({ turns }) {
    const keys = new Set(turns.map(({ key }) => key));
    for (const [key, view] of this.#views) {
      if (!keys.has(key)) {
        view.root.remove();
        this.#views.delete(key);
      }
    }
    let epoch = turns[0]?.epoch;
    for (const turn of turns) {
      let view = this.#views.get(turn.key);
      if (!view) {
        view = new TurnView(this.#sources);
        this.#views.set(turn.key, view);
        if (turn.epoch !== epoch) this.#root.append(newSessionMark());
        this.#root.append(view.root);
      }
      epoch = turn.epoch;
      view.show(turn);
    }
  }

  /** Draw the waveforms again, after the colours or the screen changed. */
  redraw() {
    for (const view of this.#views.values()) view.drawSound();
  }
}

function newSessionMark() {
  return make("p", "turn-break", "New session: it no longer knows what is above");
}

class TurnView {
  root = make("article", "turn");
  #said = make("div", "said");
  #answer = make("div", "answer");
  #sound = make("canvas", "sound");
  #length = make("span", "length");
  #words = make("span", "words");
  #reply = make("p", "reply");
  #ending = make("p", "ending");
  #sources;
  /** @type {Turn | null} */
  #turn = null;
  /** @type {number[]} kept, because the sound itself is not kept for long */
  #bars = [];
  /** @type {number[]} where used frames were taken, as shares of the utterance */
  #pins = [];

  /** @param {Sources} sources */
  constructor(sources) {
    this.#sources = sources;
    this.#sound.setAttribute("role", "img");
    this.#said.append(make("span", "who", "You"));
    this.root.append(this.#said);
  }

  /** @param {Turn} turn */
  show(turn) {
    const before = this.#turn;
    if (turn === before) return;
    this.#turn = turn;
    if (turn.speech !== before?.speech) this.#showSound(turn);
    if (turn.words !== before?.words && turn.words !== null) {
      write(this.#words, turn.words);
      this.#said.append(this.#words);
    }
    if (turn.hasPhoto && !before?.hasPhoto) this.#showPhoto(turn);
    if (turn.reply !== (before?.reply ?? null)) this.#showReply(turn);
  }

  /** @param {Turn} turn */
  #showSound({ speech }) {
    if (speech === null) return;
    if (speech.endMs === null) {
      write(this.#length, "speaking…");
      this.#said.append(this.#length);
      return;
    }
    this.#said.append(this.#sound, this.#length);
    const lengthMs = speech.endMs - speech.startMs;
    const width = Math.min(MAX_SOUND_PX, Math.max(MIN_SOUND_PX, (lengthMs / 1000) * PX_PER_S));
    this.#bars = barsOf(this.#sources.sound(speech), Math.floor(width / BAR_PITCH));
    this.#sound.style.width = `${Math.round(width)}px`;
    this.#sound.setAttribute("aria-label", `Speech of ${spelled(lengthMs)}`);
    write(this.#length, `${(lengthMs / 1000).toFixed(1)} s`);
    this.drawSound();
  }

  drawSound() {
    if (this.#bars.length === 0) return;
    const { context, width, height } = fit(this.#sound);
    const style = getComputedStyle(this.#sound);
    context.fillStyle = style.color;
    const middle = height / 2;
    const reach = middle - 5;
    this.#bars.forEach((level, index) => {
      drawBar(context, { x: index * BAR_PITCH, width: 2, middle, reach, level });
    });
    context.fillStyle = style.getPropertyValue("--accent");
    for (const share of this.#pins) {
      const x = Math.min(width - 3, Math.max(3, share * width));
      context.fillRect(x - 0.75, 0, 1.5, height - 4);
      context.beginPath();
      context.arc(x, height - 3, 3, 0, 2 * Math.PI);
      context.fill();
    }
  }

  /** @param {Turn} turn */
  #showPhoto({ itemId }) {
    const url = itemId === null ? null : this.#sources.photo(itemId);
    if (url === null) return;
    const image = make("img", "photo");
    image.src = url;
    image.alt = "Photo you sent";
    this.#said.append(image);
  }

  /** @param {Turn} turn */
  #showReply(turn) {
    const { reply } = turn;
    if (reply === null) return;
    if (!this.#answer.isConnected) {
      if (turn.itemId === null) this.#said.remove();
      this.#answer.append(make("div", "", this.#reply, this.#ending));
      this.root.append(this.#answer);
    }
    write(this.#reply, reply.text);
    // Screen readers wait with a busy element until the answer is whole.
    this.#reply.setAttribute("aria-busy", String(reply.status === "in_progress"));
    this.root.dataset.status = reply.status;
    if (reply.status !== "in_progress") this.#close(turn, reply);
  }

  /**
   * @param {Turn} turn
   * @param {import("../protocol.js").Reply} reply
   */
  #close(turn, reply) {
    write(this.#ending, ending(reply));
    const used = reply.frames.filter(({ used }) => used);
    const seen = make("div", "seen", ...used.map((frame) => this.#picture(frame, turn)));
    this.#answer.append(seen);
    if (reply.timeline) this.#answer.append(strip(reply.timeline) ?? "");
    if (reply.frames.length > used.length) this.#answer.append(this.#offered(reply.frames));
    this.drawSound();
  }

  /**
   * @param {Frame} frame
   * @param {Turn} turn
   */
  #picture(frame, { speech, reply }) {
    const sent = this.#sent(frame);
    let when = "";
    if (sent && speech?.endMs != null) {
      this.#pins.push((sent.audioMs - speech.startMs) / (speech.endMs - speech.startMs));
    }
    const stoppedMs = reply?.timeline?.speech_end_ms;
    if (stoppedMs != null) {
      const beforeMs = stoppedMs - frame.captured_ms;
      when = `, ${spelled(Math.abs(beforeMs))} ${beforeMs < 0 ? "after" : "before"} you stopped`;
    }
    return make(
      "figure",
      "",
      image(sent, "The picture it saw"),
      make("figcaption", "", `It saw this${when}`),
    );
  }

  /** @param {Frame[]} frames */
  #offered(frames) {
    const numUsed = frames.filter(({ used }) => used).length;
    const list = make("ul", "");
    for (const frame of frames) {
      const entry = make("li", "", image(this.#sent(frame), "Offered picture"), frame.reason);
      if (frame.used) entry.dataset.used = "";
      list.append(entry);
    }
    const summary = make("summary", "", `${numUsed} of ${frames.length} pictures used`);
    return make("details", "offered", summary, list);
  }

  /** @param {Frame} frame */
  #sent({ timestamp_ms, captured_ms }) {
    return timestamp_ms === null
      ? this.#sources.frameNear(captured_ms)
      : this.#sources.frame(timestamp_ms);
  }
}

/**
 * @param {import("../frames.js").SentFrame | null} sent
 * @param {string} alt
 */
function image(sent, alt) {
  if (sent === null) return make("span", "gone");
  const element = make("img", "");
  element.src = URL.createObjectURL(sent.jpeg);
  element.alt = alt;
  return element;
}

/** @param {import("../protocol.js").Reply} reply */
function ending({ status, reason }) {
  switch (status) {
    case "cancelled":
      return reason === "turn_detected" ? "You spoke, it stopped" : "Stopped";
    case "failed":
      return `Failed: ${reason ?? "the server gave no reason"}`;
    case "incomplete":
      return reason === "max_output_tokens" ? "Cut at the length limit" : "Incomplete";
    case "lost":
      return "The connection was lost here";
    default:
      return "";
  }
}
