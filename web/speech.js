// @ts-check
/**
 * Reads answers aloud with the browser's own voice, sentence by sentence as they arrive,
 * and falls silent when the person speaks. The server answers in text only.
 */

/**
 * The sentences of a growing text that are whole by now.
 * @param {string} text
 * @param {number} from what lies before has been taken
 * @param {boolean} isWhole no more text will come
 * @returns {{sentences: string[], until: number}} until: `from` of the next call
 */
export function sentencesFrom(text, from, isWhole) {
  const sentences = [];
  let until = from;
  // A mark ends a sentence only with a space after it: "3.5" and "e.g" are not ends.
  for (const match of text.slice(from).matchAll(/.*?[.!?:;。？！]+["”’)]*\s+/gsu)) {
    sentences.push(match[0].trim());
    until = from + match.index + match[0].length;
  }
  if (isWhole && until < text.length) {
    sentences.push(text.slice(until).trim());
    until = text.length;
  }
  return { sentences: sentences.filter(Boolean), until };
}

export class ReadingVoice {
  isOn = false;
  /** @type {string | null} */
  #replyId = null;
  #until = 0;

  /**
   * Say what is new in the newest answer.
   * @param {import("./protocol.js").Reply | null} reply
   * @param {boolean} isPersonSpeaking
   */
  follow(reply, isPersonSpeaking) {
    if (!this.isOn) return;
    const isStopped = reply !== null && !["in_progress", "completed"].includes(reply.status);
    if (isPersonSpeaking || isStopped) {
      this.hush();
      return;
    }
    if (reply === null) return;
    if (reply.id !== this.#replyId) {
      // An answer that was there before the voice is not read again.
      this.#until = reply.status === "in_progress" ? 0 : reply.text.length;
      this.#replyId = reply.id;
    }
    const isWhole = reply.status === "completed";
    const { sentences, until } = sentencesFrom(reply.text, this.#until, isWhole);
    this.#until = until;
    for (const sentence of sentences) {
      speechSynthesis.speak(new SpeechSynthesisUtterance(sentence));
    }
  }

  hush() {
    if ("speechSynthesis" in globalThis) speechSynthesis.cancel();
  }
}
