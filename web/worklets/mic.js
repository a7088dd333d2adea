// @ts-check
/**
 * Microphone worklet: the context's rate in, 24 kHz mono PCM16 out.
 *
 * In:   blocks of 128 float32 samples per channel at the context's rate; the first
 *       channel is used (the microphone is asked for one).
 * Out:  one Int16Array of 480 samples, 20 ms, per message, its buffer transferred.
 * Late: nothing is queued here; a block without input (device gone) sends nothing.
 */

import { Chunker, RATE_HZ, Resampler, toPcm16 } from "../pcm.js";

class MicProcessor extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE_HZ);
  #chunker = new Chunker();

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const block = inputs[0]?.[0];
    if (block) {
      this.#chunker.push(this.#resampler.push(block), (chunk) => {
        const pcm = toPcm16(chunk);
        this.port.postMessage(pcm, [pcm.buffer]);
      });
    }
    return true;
  }
}

registerProcessor("mic", MicProcessor);
