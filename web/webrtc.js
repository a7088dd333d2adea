// @ts-check
/**
 * One WebRTC connection to the server: a microphone and a camera as tracks, events over a
 * data channel. It is made once and is never repaired; its owner makes another one.
 *
 * Dispatches `event` (detail: a server event) and `lost` when it was there and is no more.
 */

/** The data channel's name in the protocol. */
const CHANNEL = "oai-events";

/** A connection that is cut off for so long will hardly mend itself. */
const CUT_OFF_MS = 1500;

/**
 * The server sends silence five times a second. Browsers wait longer before they say that
 * nothing comes, and a phone has changed its network by then.
 */
const LISTEN_EVERY_MS = 300;
const SILENCES = 5;

/** Longer than the server waits for the sound that a turn ends with. */
const TAIL_MS = 150;

/** @typedef {{lossPercent: number, jitterMs: number, roundTripMs: number}} Network */

/** The server does not take the call; `status` is that of its answer. */
export class CallRefused extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`refused with ${status}`);
    this.status = status;
  }
}

export class RealtimePeer extends EventTarget {
  callId = "";
  #base;
  #headers;
  #peer;
  #channel;
  #microphone;
  #camera;
  /** When the session's clock stood at zero, by performance.now(). */
  #zeroMs = 0;
  #isThere = false;
  #isLost = false;
  /** Ends a request that would only come through when another one has. */
  #calling = new AbortController();
  #cutOffTimer = 0;
  #listenTimer = 0;
  #tailTimer = 0;
  #heardBytes = -1;
  #numSilences = 0;

  /**
   * @param {string} base the page's address
   * @param {string} key access key, "" for none
   * @param {RTCIceServer[]} iceServers
   */
  constructor(base, key, iceServers) {
    super();
    this.#base = base;
    this.#headers = key ? { Authorization: `Bearer ${key}` } : {};
    const peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#peer = peer;
    // Both are there from the start, so that switching a device on needs no new offer.
    this.#microphone = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    this.#camera = peer.addTransceiver("video", { direction: "sendonly" }).sender;
    this.#channel = peer.createDataChannel(CHANNEL);
    this.#channel.onmessage = ({ data }) => {
      this.dispatchEvent(new CustomEvent("event", { detail: JSON.parse(data) }));
    };
    this.#channel.onclose = () => this.#lose();
    peer.onconnectionstatechange = () => this.#watch();
  }

  /**
   * Call the server. Rejected with what went wrong when there is no connection in time.
   * @param {Record<string, string>} query of the request, for a call that is there already
   * @param {number} timeoutMs
   */
  async connect(query, timeoutMs) {
    const { promise: late, timer } = timeout(timeoutMs);
    try {
      await Promise.race([this.#connect(query), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {Record<string, string>} query */
  async #connect(query) {
    const isOpen = new Promise((resolve) => {
      this.#channel.onopen = resolve;
    });
    const offer = await this.#peer.createOffer();
    const sdp = askAgain(offer.sdp ?? "");
    try {
      await this.#peer.setLocalDescription({ type: "offer", sdp });
    } catch {
      await this.#peer.setLocalDescription(offer); // a browser that takes only its own words
    }
    // Our candidates are not waited for: the server learns where we are from our checks.
    const url = new URL("v1/realtime/calls", this.#base);
    url.search = new URLSearchParams(query).toString();
    const headers = { ...this.#headers, "Content-Type": "application/sdp" };
    const body = this.#peer.localDescription?.sdp ?? sdp;
    const { signal } = this.#calling;
    const response = await fetch(url, { method: "POST", body, headers, signal });
    if (response.status !== 201) throw new CallRefused(response.status);
    this.callId = (response.headers.get("Location") ?? "").split("/").at(-1) ?? "";
    this.#zeroMs = performance.now() - sessionMs(response.headers.get("Server-Timing"));
    await this.#peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await isOpen;
    this.#isThere = true;
    this.#listenTimer = setInterval(() => this.#listen(), LISTEN_EVERY_MS);
  }

  get isOpen() {
    return this.#channel.readyState === "open";
  }

  get numBufferedBytes() {
    return this.#channel.bufferedAmount;
  }

  /**
   * The session's time, in milliseconds, of a time by performance.now().
   * @param {number} nowMs
   */
  sessionMs(nowMs) {
    return nowMs - this.#zeroMs;
  }

  /** @param {object} event */
  send(event) {
    if (!this.isOpen) return false;
    this.#channel.send(JSON.stringify(event));
    return true;
  }

  /**
   * Send a device's track, or nothing. A microphone is heard for a moment after it is taken
   * away: what was said last is still in the browser's hands, and a turn may end with it.
   * @param {"microphone" | "camera"} device
   * @param {MediaStreamTrack | null} track
   */
  async carry(device, track) {
    if (device === "camera") return this.#camera.replaceTrack(track);
    clearTimeout(this.#tailTimer);
    if (track !== null) return this.#microphone.replaceTrack(track);
    this.#tailTimer = setTimeout(() => this.#microphone.replaceTrack(null), TAIL_MS);
  }

  /**
   * What the network does to our sound.
   * @returns {Promise<Network | null>} null before the server has said anything about it
   */
  async network() {
    for (const report of (await this.#peer.getStats()).values()) {
      if (report.type === "remote-inbound-rtp" && report.kind === "audio") {
        return {
          lossPercent: (report.fractionLost ?? 0) * 100,
          jitterMs: (report.jitter ?? 0) * 1000,
          roundTripMs: (report.roundTripTime ?? 0) * 1000,
        };
      }
    }
    return null;
  }

  /** Notice that nothing comes any more. */
  async #listen() {
    let heardBytes = 0;
    for (const report of (await this.#peer.getStats()).values()) {
      if (report.type === "candidate-pair") heardBytes += report.bytesReceived ?? 0;
    }
    this.#numSilences = heardBytes === this.#heardBytes ? this.#numSilences + 1 : 0;
    this.#heardBytes = heardBytes;
    if (heardBytes > 0 && this.#numSilences >= SILENCES) this.#lose();
  }

  #watch() {
    clearTimeout(this.#cutOffTimer);
    const state = this.#peer.connectionState;
    if (state === "failed" || state === "closed") this.#lose();
    else if (state === "disconnected") {
      this.#cutOffTimer = setTimeout(() => this.#lose(), CUT_OFF_MS);
    }
  }

  #lose() {
    if (this.#isLost || !this.#isThere) return;
    this.#stop();
    this.dispatchEvent(new Event("lost"));
  }

  #stop() {
    this.#isLost = true;
    clearTimeout(this.#cutOffTimer);
    clearInterval(this.#listenTimer);
    clearTimeout(this.#tailTimer);
  }

  close() {
    this.#stop();
    this.#calling.abort();
    this.#channel.close();
    this.#peer.close();
  }
}

/**
 * Have lost packets of sound sent again; browsers do that when it is asked for.
 * @param {string} sdp an offer
 */
export function askAgain(sdp) {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2\r$/im.exec(sdp);
  if (opus === null || sdp.includes(`a=rtcp-fb:${opus[1]} nack\r`)) return sdp;
  return sdp.replace(opus[0], `${opus[0]}\na=rtcp-fb:${opus[1]} nack\r`);
}

/**
 * Milliseconds that the session had lasted when the server answered.
 * @param {string | null} timing a Server-Timing header
 */
export function sessionMs(timing) {
  const found = /(?:^|,\s*)session;dur=([\d.]+)/.exec(timing ?? "");
  return found === null ? 0 : Number(found[1]);
}

/** @param {number} ms */
function timeout(ms) {
  let timer = 0;
  const promise = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no connection within ${ms} ms`)), ms);
  });
  return { promise, timer };
}
