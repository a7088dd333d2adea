// @ts-check
/**
 * A call: the microphone and camera on one side, the server on the other, the conversation
 * between them. Knows no page.
 *
 * Dispatches `conversation` after every change of it, `connection` (detail: Connection),
 * `transport` (detail: Transport) when sound and pictures travel by another way,
 * `chunk` (detail: {pcm, isSent}) for every 20 ms heard, `frame` for every picture sent and
 * `fault` (detail: Fault) for what a person should know.
 */

import { connectionFault, deviceFault } from "./faults.js";
import { SentFrames } from "./frames.js";
import { Line } from "./line.js";
import { Outbox } from "./outbox.js";
import { PcmRing, RATE_HZ, msOf, samplesOf, toBase64 } from "./pcm.js";
import * as protocol from "./protocol.js";
import { readyStatus } from "./websocket.js";

/**
 * @typedef {import("./faults.js").Fault} Fault
 * @typedef {{state: "off" | "connecting" | "on" | "down", fault?: Fault}} Connection
 */

/** Sound kept for drawing utterances; at 24 kHz two minutes are 5.8 MB. */
const KEPT_S = 120;

/** The least a server accepts as a turn (GA refuses a commit of under 100 ms). */
const MIN_HELD_MS = 100;

/** Above this backlog the network is too slow for pictures; speech goes first. */
const MAX_BACKLOG_BYTES = 512 * 1024;

export class Call extends EventTarget {
  conversation = protocol.EMPTY;
  frames = new SentFrames();
  numFramesDropped = 0;
  isHandsFree = true;
  isMuted = false;
  extras = /** @type {protocol.Extras} */ ({ speaks_aloud: "no" });

  #base;
  #camera;
  #microphone;
  /** @type {Line | null} */
  #line = null;
  #audio = new PcmRing(KEPT_S * RATE_HZ);
  /** Where the sound of this session begins in #audio; spans of a session count from here. */
  #sessionStart = 0;
  /** @type {number | null} where the held utterance begins in #audio */
  #heldFrom = null;
  #isReady = false;
  /** @type {Set<string>} devices that are being opened */
  #opening = new Set();
  #outbox = new Outbox();

  /**
   * @param {string} base the page's address, the server's routes are relative to it
   * @param {import("./microphone.js").Microphone} microphone
   * @param {import("./camera.js").Camera} camera
   */
  constructor(base, microphone, camera) {
    super();
    this.#base = base;
    this.#microphone = microphone;
    this.#camera = camera;
    microphone.addEventListener("chunk", (event) => {
      this.#hear(/** @type {CustomEvent<Int16Array>} */ (event).detail);
    });
    microphone.addEventListener("ended", () => this.#lose("microphone"));
    camera.addEventListener("frame", (event) => {
      this.#see(/** @type {CustomEvent<{jpeg: Blob, timestampMs: number}>} */ (event).detail);
    });
    camera.addEventListener("ended", () => this.#lose("camera"));
  }

  get isOpen() {
    return this.#line !== null;
  }

  get hasMicrophone() {
    return this.#microphone.isOpen;
  }

  get hasCamera() {
    return this.#camera.isOpen;
  }

  get isHeld() {
    return this.#heldFrom !== null;
  }

  /** Milliseconds of audio sent in this session. */
  get audioMs() {
    return msOf(this.#audio.numWritten - this.#sessionStart);
  }

  /**
   * Connect and stay connected until `close`. Cancelling is `close`.
   * @param {string} model
   * @param {string} key access key, "" for none
   * @param {boolean} triesWebRtc whether the server takes calls by WebRTC
   * @throws {DOMException} the key has characters that no subprotocol can carry
   */
  connect(model, key, triesWebRtc = false) {
    const line = new Line(this.#base, model, key, triesWebRtc);
    let wasOpen = false;
    line.addEventListener("transport", (event) => {
      this.#change("transport", /** @type {CustomEvent} */ (event).detail);
    });
    line.addEventListener("open", () => {
      wasOpen = true;
      line.send(protocol.sessionUpdate(this.isHandsFree, this.extras));
      this.#change("connection", { state: "on" });
    });
    line.addEventListener("event", (event) => {
      this.#receive(/** @type {CustomEvent<protocol.Event>} */ (event).detail);
    });
    line.addEventListener("down", (event) => {
      const detail = /** @type {CustomEvent} */ (event).detail;
      this.#receiveDown({ ...detail, wasOpen });
      wasOpen = false;
    });
    line.open();
    this.#line = line;
    this.#change("connection", { state: "connecting" });
  }

  /** @param {{code: number, reason: string, wasOpen: boolean, retryInMs: number | null}} down */
  async #receiveDown(down) {
    this.#isReady = false;
    this.#heldFrom = null;
    this.#update(protocol.disconnect(this.conversation));
    const line = this.#line;
    const fault = connectionFault(down, await readyStatus(this.#base));
    if (line !== this.#line) return;
    if (down.retryInMs === null) this.close();
    if (!line?.isOpen) {
      this.#change("connection", { state: down.retryInMs === null ? "off" : "down", fault });
    }
  }

  /** @param {protocol.Event} event */
  #receive(event) {
    if (event.type === "session.created") {
      this.#isReady = true;
      this.#outbox.doubt();
      this.#flush();
      if (event.session?.id === this.conversation.sessionId) return; // by another way
      this.#sessionStart = this.#audio.numWritten;
      this.frames = new SentFrames();
    }
    if (this.#outbox.receive(event)) return this.#flush();
    if (event.type === "error" && event.error.code !== "response_cancel_not_active") {
      this.#change("fault", { title: event.error.message, advice: event.error.code ?? "" });
    }
    this.#update(protocol.receive(this.conversation, event));
  }

  /**
   * Open the microphone; a fault is dispatched, not thrown.
   * @param {string} deviceId "" for the default one
   */
  async listen(deviceId) {
    await this.#open("microphone", this.#microphone, deviceId);
    this.#microphone.mute(this.isMuted);
    this.#carry();
  }

  /** @param {string} deviceId "" for the default one */
  async look(deviceId) {
    await this.#open("camera", this.#camera, deviceId);
    this.#carry();
  }

  /** Let tracks travel where there is a way for them; held back while nobody is to hear. */
  #carry() {
    const isHeard = this.isHandsFree || this.isHeld;
    this.#line?.carry("microphone", isHeard ? this.#microphone.track : null);
    this.#line?.carry("camera", this.#camera.track);
  }

  /** What the network does to our sound; null where nobody counts. */
  network = async () => this.#line?.network() ?? null;

  lookAway() {
    this.#camera.close();
    this.#carry();
    this.#change("devices", null);
  }

  /**
   * @param {import("./faults.js").Device} name
   * @param {{open: (deviceId: string) => Promise<void>, close: () => void}} device
   * @param {string} deviceId
   */
  async #open(name, device, deviceId) {
    // Opening takes a moment and may ask the person; a second try would find it in use.
    if (this.#opening.has(name)) return;
    this.#opening.add(name);
    try {
      if (!navigator.mediaDevices) throw new DOMException("no devices", "NotSupportedError");
      await device.open(deviceId);
      if (!this.isOpen) device.close(); // the call ended while the person was asked
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this.#change("fault", deviceFault(name, error.name, globalThis.isSecureContext));
    } finally {
      this.#opening.delete(name);
    }
    this.#change("devices", null);
  }

  /** @param {import("./faults.js").Device} name */
  #lose(name) {
    (name === "camera" ? this.#camera : this.#microphone).close();
    this.#change("fault", deviceFault(name, "NotFoundError", true));
    this.#change("devices", null);
  }

  /** @param {Int16Array} pcm */
  #hear(pcm) {
    const isSent = this.#isReady && (this.isHandsFree || this.#heldFrom !== null);
    if (isSent) {
      this.#audio.append(pcm);
      if (!this.#line?.carriesTracks) {
        this.#line?.send(protocol.appendAudio(toBase64(new Uint8Array(pcm.buffer))));
      }
    }
    this.#change("chunk", { pcm, isSent });
  }

  /** @param {{jpeg: Blob, timestampMs: number}} frame */
  async #see({ jpeg, timestampMs }) {
    const audioMs = this.audioMs;
    const bytes = new Uint8Array(await jpeg.arrayBuffer());
    if (!this.#isReady || !this.#line) return;
    // From a track the server takes its own pictures; ours only show what it saw.
    const sessionMs = this.#line.sessionMs(timestampMs);
    if (this.#line.numBufferedBytes > MAX_BACKLOG_BYTES) {
      this.numFramesDropped += 1;
      return;
    }
    if (sessionMs === null) this.#line.send(protocol.appendImage(toBase64(bytes), timestampMs));
    this.frames.keep({ timestampMs, sessionMs, jpeg, audioMs });
    this.#change("frame", null);
  }

  /** @param {boolean} isMuted the server then hears silence, so that turns still end */
  mute(isMuted) {
    this.isMuted = isMuted;
    this.#microphone.mute(isMuted);
  }

  /** @param {boolean} isHandsFree false: a turn lasts as long as the button is held */
  setHandsFree(isHandsFree) {
    this.isHandsFree = isHandsFree;
    this.#heldFrom = null;
    this.#carry();
    if (this.#isReady) this.#line?.send(protocol.sessionUpdate(isHandsFree, this.extras));
  }

  startTalking() {
    if (!this.#isReady || this.isHandsFree || this.isHeld) return;
    this.interrupt();
    this.#line?.send(protocol.clearAudio());
    this.#heldFrom = this.#audio.numWritten;
    this.#carry();
  }

  /** @returns {boolean} false when it was held too briefly to say anything */
  stopTalking() {
    if (this.#heldFrom === null) return true;
    const startMs = msOf(this.#heldFrom - this.#sessionStart);
    const endMs = this.audioMs;
    this.#heldFrom = null;
    this.#carry();
    if (endMs - startMs < MIN_HELD_MS) {
      this.#line?.send(protocol.clearAudio());
      return false;
    }
    this.#update(protocol.hold(this.conversation, { startMs, endMs }));
    this.#line?.send(protocol.commitAudio());
    this.#line?.send(protocol.createResponse());
    return true;
  }

  /**
   * Say something in writing, interrupting an answer that is being written. It waits while
   * there is no session yet, or no line to it, and survives the loss of the line.
   * @param {string} text
   * @param {string | null} photo data URL
   * @returns {string} the id of the new item
   */
  say(text, photo) {
    const id = `item_${crypto.getRandomValues(new Uint32Array(3)).join("")}`.slice(0, 32);
    this.interrupt();
    this.#outbox.write(id, text, photo);
    this.#flush();
    return id;
  }

  #flush() {
    if (this.#isReady) this.#outbox.flush((event) => this.#line?.send(event) ?? false);
  }

  interrupt() {
    if (protocol.isAnswering(this.conversation)) this.#line?.send(protocol.cancelResponse());
  }

  /** End the call; the conversation stays. */
  close() {
    this.#line?.close();
    this.#line = null;
    this.#isReady = false;
    this.#heldFrom = null;
    this.#outbox.clear();
    this.#microphone.close();
    this.#camera.close();
    this.#update(protocol.disconnect(this.conversation));
    this.#change("devices", null);
    this.#change("connection", { state: "off" });
  }

  /**
   * What was sent between two instants of the running session's audio.
   * @param {protocol.Span} span
   * @returns {Int16Array}
   */
  soundOf({ startMs, endMs }) {
    const end = endMs === null ? this.#audio.numWritten : this.#sessionStart + samplesOf(endMs);
    return this.#audio.slice(this.#sessionStart + samplesOf(startMs), end);
  }

  /** @param {protocol.Conversation} conversation */
  #update(conversation) {
    if (conversation === this.conversation) return;
    this.conversation = conversation;
    this.#change("conversation", null);
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #change(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
