// libwebrtc as a client that calls again and again: one line of JSON for each call.
//
//     node set_up.mjs URL CALLS SECONDS
//
// {"ms": N} from the offer to the open data channel, or {"failed": WHY} after that many
// seconds. Needs @roamhq/wrtc: npm install in this folder.
import { createRequire } from "node:module";

const { RTCPeerConnection, nonstandard } = createRequire(import.meta.url)("@roamhq/wrtc");
const [url, calls, seconds] = process.argv.slice(2);

async function call() {
  const peer = new RTCPeerConnection({ iceServers: [] });
  peer.addTrack(new nonstandard.RTCAudioSource().createTrack());
  const channel = peer.createDataChannel("oai-events");
  const began = performance.now();
  const late = AbortSignal.timeout(seconds * 1000);
  let place = null;
  try {
    const isOpen = new Promise((resolve, reject) => {
      channel.onopen = resolve;
      late.onabort = () => reject(new Error(`${peer.connectionState} after ${seconds} s`));
    });
    isOpen.catch(() => {}); // it may come while the offer is on its way
    await peer.setLocalDescription(await peer.createOffer());
    const response = await fetch(`${url}/v1/realtime/calls`, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: peer.localDescription.sdp,
      signal: late,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    place = new URL(response.headers.get("Location"), url);
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await isOpen;
    return { ms: performance.now() - began };
  } catch (error) {
    return { failed: String(error) };
  } finally {
    late.onabort = null;
    peer.close();
    if (place !== null) await fetch(place, { method: "DELETE" }).catch(() => null);
  }
}

for (let number = 0; number < calls; number++) console.log(JSON.stringify(await call()));
process.exit(0);
