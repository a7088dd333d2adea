// Which way a call takes: WebRTC, a WebSocket instead, and back into the same session.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Line } from "../../web/line.js";
import { askAgain, sessionMs } from "../../web/webrtc.js";

class FakeWebSocket {
  static OPEN = 1;
  static opened = [];
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  constructor(url) {
    this.url = new URL(url);
    FakeWebSocket.opened.push(this);
  }
  accept() {
    this.readyState = 1;
    this.onopen();
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
}

class FakeChannel {
  readyState = "connecting";
  bufferedAmount = 0;
  sent = [];
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = "closed";
  }
  open() {
    this.readyState = "open";
    this.onopen();
  }
  say(event) {
    this.onmessage({ data: JSON.stringify(event) });
  }
}

class FakePeer {
  static made = [];
  connectionState = "new";
  channel = new FakeChannel();
  senders = [];
  isClosed = false;
  constructor() {
    FakePeer.made.push(this);
  }
  addTransceiver(kind) {
    const sender = { kind, track: null, replaceTrack: async (track) => (sender.track = track) };
    this.senders.push(sender);
    return { sender };
  }
  createDataChannel() {
    return this.channel;
  }
  async createOffer() {
    return { sdp: "v=0\r\n" };
  }
  async setLocalDescription(description) {
    this.localDescription = description;
  }
  async setRemoteDescription() {
    if (FakePeer.connects) this.channel.open();
  }
  async getStats() {
    return new Map();
  }
  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange();
  }
  close() {
    this.isClosed = true;
  }
}

/** @type {string[]} */
let asked;
let status, line, seen;

beforeEach(() => {
  asked = [];
  status = 201;
  seen = [];
  FakeWebSocket.opened = [];
  FakePeer.made = [];
  FakePeer.connects = true;
  globalThis.WebSocket = FakeWebSocket;
  globalThis.RTCPeerConnection = FakePeer;
  globalThis.fetch = async (url, options = {}) => {
    asked.push(`${options.method ?? "GET"} ${url.pathname}${url.search}`);
    if (url.pathname.endsWith("ready")) return { status: 200 };
    if (url.pathname.endsWith("ice_servers")) {
      return { ok: true, json: async () => ({ ice_servers: [], expires_at: 1e12 }) };
    }
    const headers = new Map([
      ["Location", "/v1/realtime/calls/rtc_1"],
      ["Server-Timing", "session;dur=40.0"],
    ]);
    return { status, headers, text: async () => "v=0" };
  };
  line = new Line("https://host/app/", "phi", "", true);
  for (const type of ["open", "down", "transport"]) {
    line.addEventListener(type, ({ detail }) => seen.push(detail?.name ?? type));
  }
});

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

test("a call goes by WebRTC where it can, and its tracks with it", async () => {
  line.carry("microphone", "the microphone");
  line.open();
  await settled();
  assert.deepEqual(asked, [
    "GET /app/v1/realtime/ice_servers",
    "POST /app/v1/realtime/calls",
  ]);
  assert.deepEqual(seen, ["webrtc", "open"]);
  assert.equal(line.isOpen && line.carriesTracks, true);
  assert.equal(FakePeer.made[0].senders[0].track, "the microphone");
  line.send({ type: "response.cancel" });
  assert.deepEqual(FakePeer.made[0].channel.sent, [{ type: "response.cancel" }]);
  assert.ok(Math.abs(line.sessionMs(performance.now()) - 40) < 1000);
  line.close();
});

test("a microphone is heard for a moment after it is taken away, unless it comes back", async () => {
  line.carry("microphone", "the microphone");
  line.open();
  await settled();
  const [microphone] = FakePeer.made[0].senders;
  line.carry("microphone", null);
  line.carry("microphone", "the microphone");
  line.carry("microphone", null);
  assert.equal(microphone.track, "the microphone");
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(microphone.track, null);
  line.close();
});

test("a server that takes no call is reached by WebSocket, with a word about it", async () => {
  status = 503;
  line.open();
  await settled();
  assert.equal(FakeWebSocket.opened[0].url.search, "?model=phi");
  FakeWebSocket.opened[0].accept();
  assert.deepEqual(seen, ["websocket", "open"]);
  assert.equal(line.carriesTracks, false);
  assert.equal(line.sessionMs(0), null);
  line.close();
});

test("a lost connection is made anew into the same session", async () => {
  line.open();
  await settled();
  const [first] = FakePeer.made;
  first.channel.say({ type: "session.created", event_id: "event_000007" });
  first.become("failed");
  await settled();
  assert.equal(
    asked.at(-1),
    "POST /app/v1/realtime/calls?call_id=rtc_1&last_event_id=event_000007",
  );
  assert.equal(first.isClosed, true);
  assert.equal(line.isOpen, true);
  line.close();
});

test("no farewell is sent to a server that may still hear a lost connection", async () => {
  line.open();
  await settled();
  const [lost] = FakePeer.made;
  let wasClosed;
  const { fetch } = globalThis;
  globalThis.fetch = async (url, options) => {
    if (options?.method === "POST") wasClosed = lost.isClosed;
    return fetch(url, options);
  };
  lost.become("failed");
  await settled();
  assert.equal(wasClosed, false);
  assert.ok(lost.isClosed);
  line.close();
});

test("a try to come back that fails in a network not there yet is followed by another", async () => {
  line.open();
  await settled();
  const answering = globalThis.fetch;
  globalThis.fetch = async () => {
    throw new TypeError("the network has changed");
  };
  FakePeer.made[0].become("failed");
  await settled();
  globalThis.fetch = answering;
  assert.equal(line.isOpen, false);
  FakePeer.made[1].become("failed"); // it was never there: nothing is lost with it
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(line.isOpen, true);
  assert.equal(FakePeer.made.length, 3);
  assert.deepEqual(FakeWebSocket.opened, []);
  line.close();
});

test("where it cannot be made anew a WebSocket takes the session over", async () => {
  line.open();
  await settled();
  status = 404;
  FakePeer.made[0].become("failed");
  await settled();
  const query = FakeWebSocket.opened[0].url.searchParams;
  assert.equal(query.get("call_id"), "rtc_1");
  assert.equal(query.get("takeover"), "true");
  // That session is over as well: the next one is new.
  FakeWebSocket.opened[0].onclose({ code: 1006, reason: "" });
  await settled();
  assert.equal(FakeWebSocket.opened[1].url.search, "?model=phi");
  line.close();
});

test("while the server is out of reach the session is asked for again", async () => {
  line.open();
  await settled();
  status = 404;
  FakePeer.made[0].become("failed");
  await settled();
  globalThis.fetch = async () => {
    throw new TypeError("no network");
  };
  FakeWebSocket.opened[0].onclose({ code: 1006, reason: "" });
  await settled();
  assert.equal(FakeWebSocket.opened.length, 1, "its socket tries again by itself");
  assert.equal(seen.at(-1), "down");
  line.close();
});

test("a session that has expired is not called again", async () => {
  line.open();
  await settled();
  const { channel } = FakePeer.made[0];
  channel.say({ type: "error", event_id: "e", error: { code: "session_expired" } });
  channel.onclose();
  await settled();
  assert.deepEqual(seen, ["webrtc", "open", "down"]);
  line.close();
});

test("a key that no header can carry is refused at once", () => {
  assert.throws(() => new Line("https://host/", "phi", "ключ", true).open(), DOMException);
});

test("lost packets of sound are asked for again, once", () => {
  const offer = "m=audio\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n";
  const asking = askAgain(offer);
  assert.ok(asking.includes("opus/48000/2\r\na=rtcp-fb:111 nack\r\n"));
  assert.equal(askAgain(asking), asking);
  assert.equal(askAgain("m=video\r\n"), "m=video\r\n");
});

test("the session's time is read from the answer", () => {
  assert.equal(sessionMs("cache;dur=3, session;dur=12.5"), 12.5);
  assert.equal(sessionMs(null), 0);
});
