// @ts-check
/**
 * What was written, until the server says that it has it: a connection that is cut takes
 * with it what it had not delivered. Pure: knows no socket and no clock.
 *
 * Over a new connection the server is asked first whether a letter came, and gets it again
 * only if not, so that nothing is said, or answered, twice.
 */

import { createResponse, createUserItem, retrieveItem } from "./protocol.js";

/**
 * @typedef {import("./protocol.js").Event} Event
 * @typedef {"written" | "sent" | "doubted" | "asked after"} State
 */

export class Letters {
  /** @type {{id: string, create: object, state: State}[]} oldest first */
  #letters = [];

  /**
   * @param {string} id of the new item
   * @param {string} text may be empty when there is a photo
   * @param {string | null} photo data URL
   */
  write(id, text, photo) {
    const create = { ...createUserItem(id, text, photo), event_id: sendingOf(id) };
    this.#letters.push({ id, create, state: "written" });
  }

  /** The connection is a new one: nobody knows what the old one still delivered. */
  doubt() {
    for (const letter of this.#letters) {
      if (letter.state !== "written") letter.state = "doubted";
    }
  }

  /**
   * Send what can be sent now, in the order in which it was written.
   * @param {(event: object) => boolean} send says whether it went out
   */
  flush(send) {
    for (const letter of this.#letters) {
      const { id, state, create } = letter;
      if (state === "sent") continue;
      if (state === "doubted" && send(retrieveItem(id, askingOf(id)))) {
        letter.state = "asked after";
      }
      if (letter.state !== "written") return; // what came later waits for the answer
      if (!send(create)) return;
      letter.state = "sent";
      send(createResponse());
    }
  }

  /**
   * @param {Event} event
   * @returns {boolean} whether it was an answer to a question of ours, of no use to others
   */
  receive(event) {
    const { item, error } = event;
    if (event.type === "conversation.item.added") this.#drop(item.id);
    if (event.type === "conversation.item.retrieved") return this.#drop(item.id);
    if (event.type !== "error") return false;
    const missing = this.#letters.find(({ id }) => error.event_id === askingOf(id));
    if (missing) missing.state = "written";
    // Refused, for good: it would be refused again.
    this.#letters = this.#letters.filter(({ id }) => error.event_id !== sendingOf(id));
    return missing !== undefined;
  }

  /**
   * @param {string} itemId
   * @returns {boolean} whether there was such a letter
   */
  #drop(itemId) {
    const num = this.#letters.length;
    this.#letters = this.#letters.filter(({ id }) => id !== itemId);
    return this.#letters.length < num;
  }

  clear() {
    this.#letters = [];
  }
}

/** @param {string} id */
const sendingOf = (id) => `send_${id}`;
/** @param {string} id */
const askingOf = (id) => `ask_${id}`;
