// A microphone is open when its track is there, whatever the machine has for a speaker.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Microphone } from "../../web/microphone.js";

const track = { addEventListener: () => {}, getSettings: () => ({}), stop: () => {} };
const stream = { getAudioTracks: () => [track], getTracks: () => [track] };
Object.defineProperty(globalThis, "navigator", {
  value: { mediaDevices: { getUserMedia: async () => stream } },
  configurable: true,
});
let numResumed = 0;
globalThis.AudioContext = class {
  audioWorklet = { addModule: async () => {} };
  createMediaStreamSource() {
    return { connect: (node) => node };
  }
  resume() {
    numResumed += 1;
    return new Promise(() => {}); // as in Firefox where no device plays sound
  }
  close() {}
};
globalThis.AudioWorkletNode = class {
  port = {};
  connect() {}
};

test("a microphone opens where no sound can be played", { timeout: 2000 }, async () => {
  const microphone = new Microphone();
  await microphone.open("");
  assert.equal(microphone.track, track);
  assert.equal(numResumed, 1);
});
