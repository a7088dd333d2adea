// @ts-check
/**
 * One Realtime connection that is kept up: JSON events over a WebSocket, reconnected with
 * growing pauses. Knows no conversation.
 *
 * Dispatches `open`, `event` (detail: a server event) and `down` (detail: {code, reason,
 * retryInMs}; retryInMs is null when it will not try again).
 */

/** Pauses before the attempts of one outage; the last one repeats. */
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15_000];

/** Attempts before it is left to the person to try again: about four minutes. */
const MAX_ATTEMPTS = 20;

/** Closed on purpose by the server: coming back would not help. */
const FINAL_CODES = new Set([1000, 1008]);

/**
 * Where to connect.
 * @param {string} base the page's address
 * @param {string} model
 */
export function addressOf(base, model) {
  const url = new URL(`v1/realtime?model=${encodeURIComponent(model)}`, base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

export class RealtimeSocket extends EventTarget {
  #url;
  #protocols;
  /** @type {WebSocket | null} */
  #socket = null;
  #attempts = 0;
  #retryTimer = 0;
  #isClosed = false;

  /**
   * @param {string} url ws: or wss:
   * @param {string} key access key, "" for none
   */
  constructor(url, key) {
    super();
    this.#url = url;
    // A browser cannot set headers on a WebSocket; the key travels as a subprotocol, never
    // in the address, which servers log.
    this.#protocols = key ? ["realtime", `openai-insecure-api-key.${key}`] : ["realtime"];
  }

  /** @throws {DOMException} the key has characters that no subprotocol can carry */
  open() {
    const socket = new WebSocket(this.#url, this.#protocols);
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempts = 0;
      this.dispatchEvent(new Event("open"));
    };
    socket.onmessage = ({ data }) => {
      this.dispatchEvent(new CustomEvent("event", { detail: JSON.parse(data) }));
    };
    socket.onclose = ({ code, reason }) => this.#receiveClose(code, reason);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #receiveClose(code, reason) {
    if (this.#isClosed) return;
    const isFinal = FINAL_CODES.has(code) || this.#attempts >= MAX_ATTEMPTS;
    const retryInMs = isFinal ? null : RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)];
    this.#attempts += 1;
    if (retryInMs !== null) this.#retryTimer = setTimeout(() => this.open(), retryInMs);
    this.dispatchEvent(new CustomEvent("down", { detail: { code, reason, retryInMs } }));
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes handed over and not yet on the network; grows when the network is too slow. */
  get numBufferedBytes() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /**
   * Send a client event; without an open connection it is dropped.
   * @param {object} event
   * @returns {boolean} whether it went out
   */
  send(event) {
    if (!this.isOpen) return false;
    this.#socket?.send(JSON.stringify(event));
    return true;
  }

  /** Close for good: no more events, no reconnection. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    this.#socket?.close(1000);
  }
}
