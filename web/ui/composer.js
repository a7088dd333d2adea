// @ts-check
/** Writing: a line of text, and a photo to go with it. */

import { $ } from "./dom.js";

/** The longest side of a photo; larger ones are scaled down before sending. */
const MAX_PHOTO_SIDE = 1344;

export class Composer {
  #text = $("text", HTMLInputElement);
  #input = $("photo", HTMLInputElement);
  /** @type {string | null} data URL of the photo that goes with the next message */
  #photo = null;
  #fail;

  /**
   * @param {(text: string, photo: string | null) => boolean} send false keeps what was written
   * @param {(fault: import("../faults.js").Fault) => void} fail
   */
  constructor(send, fail) {
    this.#fail = fail;
    this.#input.addEventListener("change", () => this.#choose());
    $("attached", HTMLElement).addEventListener("click", () => this.#attach(null));
    $("composer", HTMLElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text === "" && this.#photo === null) return;
      if (!send(text, this.#photo)) return;
      this.#text.value = "";
      this.#attach(null);
    });
  }

  async #choose() {
    const file = this.#input.files?.[0];
    this.#input.value = "";
    if (!file) return;
    try {
      this.#attach(await scaledDown(file));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this.#fail({ title: "This photo cannot be read", advice: "JPEG, PNG and WebP work." });
    }
  }

  /** @param {string | null} photo */
  #attach(photo) {
    this.#photo = photo;
    $("attached", HTMLElement).hidden = photo === null;
    if (photo === null) return;
    $("attached-image", HTMLImageElement).src = photo;
    this.#text.focus();
  }
}

/**
 * @param {File} file
 * @returns {Promise<string>} data URL of a JPEG
 * @throws {DOMException} not a picture that this browser reads
 */
async function scaledDown(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_PHOTO_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", 0.9);
}
