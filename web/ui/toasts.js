// @ts-check
/** What went wrong, said briefly over the page. */

import { make } from "./dom.js";

const SHOWN_MS = 12_000;
const MAX_TOASTS = 3;

export class Toasts {
  #root;

  /** @param {HTMLElement} root with role=alert */
  constructor(root) {
    this.#root = root;
  }

  /** @param {import("../faults.js").Fault} fault */
  show({ title, advice }) {
    const close = make("button", "", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Dismiss");
    const toast = make("div", "toast", make("strong", "", title), close);
    if (advice) toast.append(make("p", "", advice));
    close.addEventListener("click", () => toast.remove());
    const same = [...this.#root.children].find(
      (other) => other.querySelector("strong")?.textContent === title,
    );
    same?.remove();
    this.#root.append(toast);
    if (this.#root.children.length > MAX_TOASTS) this.#root.firstElementChild?.remove();
    setTimeout(() => toast.remove(), SHOWN_MS);
  }
}
