// @ts-check
/** A button that acts while it is held, by pointer or by the space bar anywhere on the page. */

/** Where the space bar has another meaning. */
const TAKES_SPACE = "input:not([type=radio]), select, button, summary";

/**
 * @param {HTMLButtonElement} button
 * @param {{canPress: () => boolean, press: () => boolean, release: () => void}} actions
 *   `press` returns whether it took; `release` follows only a press that did
 * @returns {() => void} tries again a press that did not take and is still held: the session
 *   or the microphone may become ready under the finger
 */
export function wireHold(button, { canPress, press, release }) {
  let isDown = false;
  let isHeld = false;
  const show = () => button.setAttribute("aria-pressed", String(isHeld));
  const begin = () => {
    isDown = true;
    if (isHeld || !canPress()) return;
    isHeld = press();
    show();
  };
  const end = () => {
    isDown = false;
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
  return () => {
    if (isDown) begin();
  };
}
