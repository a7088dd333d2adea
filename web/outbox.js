// @ts-check
/**
 * What was written, until the server says that it has it: a connection that is cut takes
 * with it what it had not delivered. Pure: knows no socket and no clock.
 *
 * Over a new connection the server is asked first whether a message came, and gets it again
 * only if not, so that nothing is said, or answered, twice.
 */

import { createResponse, createUserItem, retrieveItem } from "./protocol.js";

/**
 * @typedef {import("./protocol.js").Event} Event
 * @typedef {"written" | "sent" | "doubted" | "asked after"} State
 */

export class Outbox {
  /** @type {{id: string, create: object, state: State}[]} oldest first */
  #messages = [];

  /**
   * @param {string} id of the new item
   * @param {string} text may be empty when there is a photo
   * @param {string | null} photo data URL
   */
  write(id, text, photo) {
    const create = { ...createUserItem(id, text, photo), event_id: sendingOf(id) };
    this.#messages.push({ id, create, state: "written" });
  }

  /** The connection is a new one: nobody knows what the old one still delivered. */
  doubt() {
    for (const message of this.#messages) {
      if (message.state !== "written") message.state = "doubted";
    }
  }

  /**
   * Send what can be sent now, in the order in which it was written.
   * @param {(event: object) => boolean} send says whether it went out
   */
  flush(send) {
    for (const message of this.#messages) {
      const { id, state, create } = message;
      if (state === "sent") continue;
      if (state === "doubted" && send(retrieveItem(id, askingOf(id)))) {
        message.state = "asked after";
      }
      if (message.state !== "written") return; // what came later waits for the answer
      if (!send(create)) return;
      message.state = "sent";
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
    const missing = this.#messages.find(({ id }) => error.event_id === askingOf(id));
    if (missing) missing.state = "written";
    // Refused, for good: it would be refused again.
    this.#messages = this.#messages.filter(({ id }) => error.event_id !== sendingOf(id));
    return missing !== undefined;
  }

  /**
   * @param {string} itemId
   * @returns {boolean} whether there was such a message
   */
  #drop(itemId) {
    const num = this.#messages.length;
    this.#messages = this.#messages.filter(({ id }) => id !== itemId);
    return this.#messages.length < num;
  }

  clear() {
    this.#messages = [];
  }
}

/** @param {string} id */
const sendingOf = (id) => `send_${id}`;
/** @param {string} id */
const askingOf = (id) => `ask_${id}`;
