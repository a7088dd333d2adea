// @ts-check
/**
 * The camera as a stream of JPEG frames. Dispatches `frame` (detail: {jpeg: Blob,
 * timestampMs}) at a fixed rate and `ended` when the device goes away by itself.
 */

/** Longest side of a frame, in pixels. */
const MAX_SIDE = 640;
const JPEG_QUALITY = 0.8;
export const FRAMES_PER_S = 2;

export class Camera extends EventTarget {
  #video;
  #canvas = document.createElement("canvas");
  /** @type {MediaStream | null} */
  #stream = null;
  #timer = 0;

  /** @param {HTMLVideoElement} video shows the picture and is what frames are taken from */
  constructor(video) {
    super();
    this.#video = video;
  }

  /**
   * Open a camera, closing the one that was open.
   * @param {string} deviceId "" for the default one
   * @throws {DOMException} refused, missing or in use
   */
  async open(deviceId) {
    const stream = await navigator.mediaDevices.getUserMedia({
      video: {
        deviceId: deviceId ? { exact: deviceId } : undefined,
        width: { ideal: 640 },
        height: { ideal: 480 },
      },
    });
    this.close();
    this.#stream = stream;
    stream
      .getVideoTracks()[0]
      .addEventListener("ended", () => this.dispatchEvent(new Event("ended")));
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#take();
    this.#timer = setInterval(() => this.#take(), 1000 / FRAMES_PER_S);
  }

  #take() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (width === 0) return;
    const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const timestampMs = Math.round(performance.now());
    this.#canvas
      .getContext("2d")
      ?.drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    const stream = this.#stream;
    this.#canvas.toBlob(
      (jpeg) => {
        // Encoding takes a moment, and the camera may have been switched off in it.
        if (jpeg === null || stream !== this.#stream) return;
        this.dispatchEvent(new CustomEvent("frame", { detail: { jpeg, timestampMs } }));
      },
      "image/jpeg",
      JPEG_QUALITY,
    );
  }

  get isOpen() {
    return this.#stream !== null;
  }

  get track() {
    return this.#stream?.getVideoTracks()[0] ?? null;
  }

  get deviceId() {
    return this.#stream?.getVideoTracks()[0].getSettings().deviceId ?? "";
  }

  close() {
    clearInterval(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}
