// @ts-check
/** The two device pickers. Browsers name devices only after one of them was allowed. */

import { make } from "./dom.js";

/**
 * List the devices in the pickers, keeping what is chosen.
 * @param {HTMLSelectElement} microphones
 * @param {HTMLSelectElement} cameras
 */
export async function listDevices(microphones, cameras) {
  if (!navigator.mediaDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  fill(
    microphones,
    devices.filter(({ kind }) => kind === "audioinput"),
  );
  fill(
    cameras,
    devices.filter(({ kind }) => kind === "videoinput"),
  );
}

/**
 * @param {HTMLSelectElement} select
 * @param {MediaDeviceInfo[]} devices
 */
function fill(select, devices) {
  const chosen = select.value;
  const options = devices
    .filter(({ deviceId }) => deviceId !== "" && deviceId !== "default")
    .map(({ deviceId, label }, index) => {
      const option = make("option", "", label || `Device ${index + 1}`);
      option.value = deviceId;
      return option;
    });
  const standard = make("option", "", "Default");
  standard.value = "";
  select.replaceChildren(standard, ...options);
  if (options.some(({ value }) => value === chosen)) select.value = chosen;
}
