// @ts-check
/**
 * What went wrong, in words that say what to do about it. Pure.
 *
 * @typedef {{title: string, advice: string}} Fault
 * @typedef {"microphone" | "camera"} Device
 */

/**
 * Why a device did not open.
 * @param {Device} device
 * @param {string} name of the DOMException, "" when the browser offers no devices at all
 * @param {boolean} isSecureContext
 * @returns {Fault}
 */
export function deviceFault(device, name, isSecureContext) {
  const meanwhile =
    device === "microphone" ? "Until then you can type." : "Until then it answers unseeing.";
  if (!isSecureContext) {
    return {
      title: `The browser offers no ${device} on this address`,
      advice:
        "Pages get devices only over HTTPS or from localhost. Open http://localhost:8000 " +
        "on the machine that serves, or start it with --tls self-signed and use https.",
    };
  }
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return {
        title: `The ${device} is blocked`,
        advice:
          `Allow the ${device} for this page (the icon beside the address), then press ` +
          `its button again. ${meanwhile}`,
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return {
        title: `No ${device} was found`,
        advice: `Plug one in or choose another one. ${meanwhile}`,
      };
    case "NotReadableError":
    case "AbortError":
      return {
        title: `The ${device} is in use`,
        advice: "Another program holds it, or it does not answer. Close that program first.",
      };
    default:
      return {
        title: `The ${device} did not start`,
        advice: name || "This browser has no access to devices.",
      };
  }
}

/**
 * Why there is no connection.
 * @param {{code: number, reason: string, wasOpen: boolean}} close
 * @param {number | null} readyStatus what GET /ready answered; null when nothing did
 * @returns {Fault}
 */
export function connectionFault({ code, reason, wasOpen }, readyStatus) {
  if (code === 1013)
    return { title: "All places are taken", advice: reason || "Wait a little." };
  if (code === 1008) {
    return {
      title: "The server refused this session",
      advice: reason || "Check the access key.",
    };
  }
  if (code === 1000) return { title: "The server ended the session", advice: reason };
  if (readyStatus === null) {
    return { title: "The server does not answer", advice: "It may be restarting." };
  }
  if (readyStatus === 503) {
    return { title: "The model is still loading", advice: "The first start takes longest." };
  }
  if (wasOpen) return { title: "The connection was lost", advice: reason };
  return {
    title: "The server refused the connection",
    advice: "It may want an access key (Settings), be full, or not allow this address.",
  };
}
