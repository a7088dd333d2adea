// @ts-check
/**
 * The way to the server: WebRTC while that works, else a WebSocket. Looks like a
 * RealtimeSocket to its owner, who hears of the change and goes on.
 *
 * Dispatches what a RealtimeSocket dispatches, and `transport` (detail: Transport) when the
 * way is another one. A WebRTC connection that is lost is made anew into the same session;
 * where that fails, a WebSocket takes the session over.
 */

import { CallRefused, RealtimePeer } from "./webrtc.js";
import { RealtimeSocket, addressOf, readyStatus } from "./websocket.js";

/** @typedef {{name: "webrtc" | "websocket", note: string}} Transport */

/** A network that lets WebRTC through connects in a second, a bad one in some. */
const SETUP_MS = 7000;
const SERVERS_MS = 2000;

/**
 * The server keeps a session for some seconds after its client has vanished. Meanwhile a
 * phone finds its new network: a try that began before that is of no use after it.
 */
const RETURN_MS = 8000;
const RETURN_TRY_MS = 2500;
const RETRY_MS = 250;

/** What a subprotocol may hold (RFC 9110, token): the key must fit the way back, too. */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]*$/;

const BLOCKED = "The network lets no WebRTC through; sound and pictures go by WebSocket.";
const BUSY = "The server takes no WebRTC call now; sound and pictures go by WebSocket.";

export class Line extends EventTarget {
  #base;
  #model;
  #key;
  #triesWebRtc;
  /** @type {RealtimePeer | null} */
  #peer = null;
  /** @type {RealtimeSocket | null} */
  #socket = null;
  /** @type {{microphone: MediaStreamTrack | null, camera: MediaStreamTrack | null}} */
  #tracks = { microphone: null, camera: null };
  /** @type {RTCIceServer[]} */
  #servers = [];
  /** Unix seconds. */
  #serversUntil = 0;
  #callId = "";
  #lastEventId = "";
  #isClosed = false;
  #isExpired = false;

  /**
   * @param {string} base the page's address
   * @param {string} model
   * @param {string} key access key, "" for none
   * @param {boolean} triesWebRtc false: a WebSocket from the start
   */
  constructor(base, model, key, triesWebRtc) {
    super();
    this.#triesWebRtc = triesWebRtc && "RTCPeerConnection" in globalThis;
    this.#base = base;
    this.#model = model;
    this.#key = key;
  }

  /** @throws {DOMException} the key has characters that no subprotocol can carry */
  open() {
    if (!this.#triesWebRtc) this.#useSocket({});
    else if (TOKEN.test(this.#key)) this.#call({}, SETUP_MS, SETUP_MS);
    else throw new DOMException("the key is no token", "SyntaxError");
  }

  /**
   * Make a connection, over and over until one holds or the time is up.
   * @param {Record<string, string>} query
   * @param {number} withinMs
   * @param {number} tryMs how long one try may take
   */
  async #call(query, withinMs, tryMs) {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const peer = new RealtimePeer(this.#base, this.#key, await this.#iceServers());
      if (this.#isClosed) return peer.close();
      this.#heed(peer);
      try {
        await peer.connect(query, tryMs);
        return this.#useTracks(peer);
      } catch (error) {
        if (peer !== this.#peer || this.#isClosed) return;
        if (error instanceof CallRefused) return this.#fallBack(BUSY);
        if (performance.now() + RETRY_MS >= endMs) return this.#fallBack(BLOCKED);
      }
      peer.close();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      if (peer !== this.#peer) return;
    }
  }

  /** @param {RealtimePeer} peer */
  #heed(peer) {
    peer.addEventListener("event", (event) => {
      if (peer === this.#peer) this.#receive(/** @type {CustomEvent} */ (event).detail);
    });
    peer.addEventListener("lost", () => this.#receiveLost(peer));
    this.#peer = peer;
  }

  /** @param {RealtimePeer} peer that is connected */
  #useTracks(peer) {
    if (peer !== this.#peer) return;
    this.#callId = peer.callId;
    peer.carry("microphone", this.#tracks.microphone);
    peer.carry("camera", this.#tracks.camera);
    this.#announce("webrtc", "");
    this.dispatchEvent(new Event("open"));
  }

  /** @returns {Promise<RTCIceServer[]>} asked for once: who comes back is in a hurry */
  async #iceServers() {
    if (Date.now() / 1000 < this.#serversUntil) return this.#servers;
    const headers = this.#key ? { Authorization: `Bearer ${this.#key}` } : undefined;
    const url = new URL("v1/realtime/ice_servers", this.#base);
    const signal = AbortSignal.timeout(SERVERS_MS);
    const response = await fetch(url, { headers, signal }).catch(() => null);
    if (response?.ok) {
      const { ice_servers: servers, expires_at: expiresAt } = await response.json();
      this.#servers = servers;
      this.#serversUntil = expiresAt;
    }
    return this.#servers;
  }

  /** @param {RealtimePeer} peer */
  #receiveLost(peer) {
    if (peer !== this.#peer || this.#isClosed || this.#callId === "") return;
    this.#peer = null;
    if (this.#isExpired) {
      peer.close();
      const detail = { code: 1000, reason: "", retryInMs: null };
      this.dispatchEvent(new CustomEvent("down", { detail }));
      return;
    }
    const query = { call_id: this.#callId, last_event_id: this.#lastEventId };
    // Where only the way back is cut, the server would take this for a farewell.
    this.#call(query, RETURN_MS, RETURN_TRY_MS).finally(() => peer.close());
  }

  /** @param {string} note for a person to read */
  #fallBack(note) {
    const callId = this.#callId || (this.#peer?.callId ?? "");
    this.#peer?.close();
    this.#peer = null;
    if (this.#isClosed) return;
    this.#announce("websocket", note);
    const query = callId
      ? { call_id: callId, takeover: "true", last_event_id: this.#lastEventId }
      : {};
    this.#callId = "";
    this.#useSocket(query);
  }

  /** @param {Record<string, string>} query for a session that is there already */
  #useSocket(query) {
    const url = new URL(addressOf(this.#base, this.#model));
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const socket = new RealtimeSocket(url.href, this.#key);
    this.#socket = socket;
    socket.addEventListener("open", () => this.dispatchEvent(new Event("open")));
    socket.addEventListener("event", (event) => {
      this.#receive(/** @type {CustomEvent} */ (event).detail);
    });
    socket.addEventListener("down", async (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      this.dispatchEvent(new CustomEvent("down", { detail }));
      // Where the server answers, it is the session that is over: the next one is new.
      if ("call_id" in query && (await readyStatus(this.#base)) !== null) {
        socket.close();
        if (!this.#isClosed && socket === this.#socket) this.#useSocket({});
      }
    });
    socket.open();
  }

  /** @param {import("./protocol.js").Event} event */
  #receive(event) {
    if (typeof event.event_id === "string") this.#lastEventId = event.event_id;
    if (event.type === "error" && event.error?.code === "session_expired") {
      this.#isExpired = true;
    }
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  get isOpen() {
    return this.#peer?.isOpen ?? this.#socket?.isOpen ?? false;
  }

  /** True while sound and pictures travel as tracks, and not in events. */
  get carriesTracks() {
    return this.#peer !== null;
  }

  get numBufferedBytes() {
    return this.#peer?.numBufferedBytes ?? this.#socket?.numBufferedBytes ?? 0;
  }

  /**
   * @param {object} event
   * @returns {boolean} whether it went out
   */
  send(event) {
    return this.#peer?.send(event) ?? this.#socket?.send(event) ?? false;
  }

  /**
   * Send a device's track from now on, over this connection and those that replace it.
   * @param {"microphone" | "camera"} device
   * @param {MediaStreamTrack | null} track
   */
  carry(device, track) {
    this.#tracks[device] = track;
    if (this.#peer?.isOpen) this.#peer.carry(device, track);
  }

  /**
   * @param {number} nowMs by performance.now()
   * @returns {number | null} null when the session's clock is not known
   */
  sessionMs(nowMs) {
    return this.#peer?.sessionMs(nowMs) ?? null;
  }

  /** @returns {Promise<import("./webrtc.js").Network | null>} */
  async network() {
    return (await this.#peer?.network()) ?? null;
  }

  /** Close for good: no more events, no reconnection. */
  close() {
    this.#isClosed = true;
    this.#peer?.close();
    this.#socket?.close();
  }

  /**
   * @param {Transport["name"]} name
   * @param {string} note
   */
  #announce(name, note) {
    this.dispatchEvent(new CustomEvent("transport", { detail: { name, note } }));
  }
}
