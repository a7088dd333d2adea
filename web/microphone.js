// @ts-check
/**
 * The microphone as a stream of PCM chunks. Dispatches `chunk` (detail: Int16Array, 20 ms
 * at 24 kHz) and `ended` when the device goes away by itself.
 */

import { RATE_HZ } from "./pcm.js";

export class Microphone extends EventTarget {
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {AudioContext | null} */
  #context = null;

  /**
   * Open a microphone, closing the one that was open.
   * @param {string} deviceId "" for the default one
   * @throws {DOMException} refused, missing or in use
   */
  async open(deviceId) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        deviceId: deviceId ? { exact: deviceId } : undefined,
        channelCount: 1,
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
      },
    });
    this.close();
    this.#stream = stream;
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => this.dispatchEvent(new Event("ended")));
    const { context, source } = connect(stream);
    this.#context = context;
    await context.audioWorklet.addModule(new URL("worklets/mic.js", import.meta.url));
    const mic = new AudioWorkletNode(context, "mic");
    mic.port.onmessage = ({ data }) => {
      this.dispatchEvent(new CustomEvent("chunk", { detail: data }));
    };
    // It puts out silence; without a way to the speaker it would not be run at all.
    source.connect(mic).connect(context.destination);
    // Not waited for: Firefox holds it up for as long as it finds nothing to play sound by,
    // and the track goes out by WebRTC without it. Closed meanwhile, it is refused.
    context.resume().catch(() => {});
  }

  get isOpen() {
    return this.#stream !== null;
  }

  get track() {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  get deviceId() {
    return this.#stream?.getAudioTracks()[0].getSettings().deviceId ?? "";
  }

  /** @param {boolean} isMuted a muted microphone goes on as silence, so that turns end */
  mute(isMuted) {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !isMuted;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context?.close();
    this.#stream = null;
    this.#context = null;
  }
}

/**
 * An audio graph at the wire's rate where the browser resamples by itself; Firefox does not
 * and refuses, there the worklet does it.
 * @param {MediaStream} stream
 */
function connect(stream) {
  const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "NotSupportedError")) throw error;
    context.close();
    const own = new AudioContext({ latencyHint: "interactive" });
    return { context: own, source: own.createMediaStreamSource(stream) };
  }
}
