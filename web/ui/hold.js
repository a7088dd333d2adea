// @ts-check
/** A button that acts while it is held, by pointer or by the space bar anywhere on the page. */

/** Where the space bar has another meaning. */
const TAKES_SPACE = "input:not([type=radio]), select, button, summary";

/**
 * @param {HTMLButtonElement} button
 * @param {{canPress: () => boolean, press: () => boolean, release: () => void}} actions
 *   `press` returns whether it took; `release` follows only a press that did
 */
export function wireHold(button, { canPress, press, release }) {
  let isHeld = false;
  const show = () => button.setAttribute("aria-pressed", String(isHeld));
  const begin = () => {
    if (isHeld || !canPress()) return;
    isHeld = press();
    show();
  };
  const end = () => {
    if (!isHeld) return;
    isHeld = false;
    show();
    release();
  };

  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    begin();
  });
  button.addEventListener("lostpointercapture", end);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  addEventListener("blur", end);
  addEventListener("keydown", (event) => {
    const { target } = event;
    const isTaken =
      target !== button && target instanceof Element && target.closest(TAKES_SPACE) !== null;
    if (event.code !== "Space" || isTaken || !canPress()) return;
    event.preventDefault();
    begin();
  });
  addEventListener("keyup", ({ code }) => {
    if (code === "Space") end();
  });
}
