// libwebrtc as a client: speaks a recording over WebRTC and prints every event it is sent.
//
//     node libwebrtc.mjs URL PCM      PCM: 16-bit mono at 48 kHz, raw
//
// Ends after the first response.done. Needs @roamhq/wrtc: npm install in this folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { RTCPeerConnection, nonstandard } = createRequire(import.meta.url)("@roamhq/wrtc");
const [url, file] = process.argv.slice(2);
const RATE_HZ = 48_000;
const SIZE = RATE_HZ / 100; // it takes 10 ms at a time

const bytes = readFileSync(file);
const pcm = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
const source = new nonstandard.RTCAudioSource();
const peer = new RTCPeerConnection({ iceServers: [] });
peer.addTrack(source.createTrack());
const channel = peer.createDataChannel("oai-events");

let at = 0;
let began = 0;
function speak() {
  // By the clock: timers of node come late, and speech must not.
  while (at * 10 < performance.now() - began) {
    const samples = new Int16Array(SIZE);
    samples.set(pcm.subarray(at * SIZE, (at + 1) * SIZE));
    source.onData({
      samples,
      sampleRate: RATE_HZ,
      bitsPerSample: 16,
      channelCount: 1,
      numberOfFrames: SIZE,
    });
    at += 1;
  }
}

channel.onopen = () => {
  began = performance.now();
  setInterval(speak, 5);
};
channel.onmessage = ({ data }) => {
  console.log(data);
  if (JSON.parse(data).type === "response.done") finish();
};

function finish() {
  peer.close();
  setTimeout(() => process.exit(0), 200);
}

const offer = await peer.createOffer();
await peer.setLocalDescription(offer);
const response = await fetch(`${url}/v1/realtime/calls`, {
  method: "POST",
  headers: { "Content-Type": "application/sdp" },
  body: peer.localDescription.sdp,
});
if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
