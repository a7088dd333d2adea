// werift as a client: sends Opus packets over WebRTC and prints every event it is sent.
//
//     node werift.mjs URL OPUS      OPUS: packets of 20 ms, each behind its length (2 bytes)
//
// Ends after the first response.done. Needs the package werift: npm install in this folder.
import { readFileSync } from "node:fs";
import { MediaStreamTrack, RTCPeerConnection, RtpHeader, RtpPacket } from "werift";

const [url, file] = process.argv.slice(2);
const SILENCE = Buffer.from([0xf8, 0xff, 0xfe]);
const PACKET_MS = 20;
const PACKET_TICKS = 960;

const bytes = readFileSync(file);
const packets = [];
for (let at = 0; at < bytes.length; at += 2 + bytes.readUInt16BE(at)) {
  packets.push(bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at)));
}

const peer = new RTCPeerConnection({ iceServers: [] });
const track = new MediaStreamTrack({ kind: "audio" });
peer.addTransceiver(track, { direction: "sendrecv" });
const channel = peer.createDataChannel("oai-events");

let number = 0;
let began = 0;
function speak() {
  // By the clock: timers of node come late, and speech must not.
  while (number * PACKET_MS < performance.now() - began) {
    const header = new RtpHeader({
      sequenceNumber: number & 0xffff,
      timestamp: number * PACKET_TICKS,
    });
    track.writeRtp(new RtpPacket(header, packets[number] ?? SILENCE));
    number += 1;
  }
}

channel.stateChanged.subscribe((state) => {
  if (state !== "open" || began !== 0) return;
  began = performance.now();
  setInterval(speak, 5);
});
channel.onMessage.subscribe(async (data) => {
  console.log(data.toString());
  if (JSON.parse(data.toString()).type !== "response.done") return;
  await peer.close();
  setTimeout(() => process.exit(0), 200);
});

await peer.setLocalDescription(await peer.createOffer());
const response = await fetch(`${url}/v1/realtime/calls`, {
  method: "POST",
  headers: { "Content-Type": "application/sdp" },
  body: peer.localDescription.sdp,
});
if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
