// What a call sends, and when: a fake network and fake devices, the real protocol.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Call } from "../../web/call.js";

class FakeWebSocket {
  static OPEN = 1;
  /** @type {FakeWebSocket} */
  static newest;
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  constructor(url) {
    this.url = url;
    FakeWebSocket.newest = this;
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

class FakeDevice extends EventTarget {
  isOpen = false;
  isMuted = false;
  failure = null;
  async open() {
    if (this.failure) throw this.failure;
    this.isOpen = true;
  }
  mute(isMuted) {
    this.isMuted = isMuted;
  }
  close() {
    this.isOpen = false;
  }
  give(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const CHUNK = new Int16Array(480).fill(1000);
let microphone, camera, call, faults;

beforeEach(() => {
  globalThis.WebSocket = FakeWebSocket;
  globalThis.isSecureContext = true;
  Object.defineProperty(globalThis, "navigator", {
    value: { mediaDevices: {} },
    configurable: true,
  });
  microphone = new FakeDevice();
  camera = new FakeDevice();
  call = new Call("https://host/app/", microphone, camera);
  faults = [];
  call.addEventListener("fault", ({ detail }) => faults.push(detail.title));
});
afterEach(() => call.close());

function receive(event) {
  FakeWebSocket.newest.onmessage({ data: JSON.stringify(event) });
}

function connected() {
  call.connect("phi 4", "");
  FakeWebSocket.newest.accept();
  receive({ type: "session.created", session: { id: "s", model: "phi" } });
  return FakeWebSocket.newest;
}

const types = (socket) => socket.sent.map(({ type }) => type);
const speak = (num) => Array.from({ length: num }, () => microphone.give("chunk", CHUNK));

test("the address is relative to the page, secure when the page is", () => {
  assert.equal(connected().url, "wss://host/app/v1/realtime?model=phi%204");
});

test("nothing is sent before the session is there", () => {
  call.connect("phi", "");
  speak(3);
  FakeWebSocket.newest.accept();
  speak(3);
  assert.deepEqual(types(FakeWebSocket.newest), ["session.update"]);
});

test("what is written before the session is there goes out when it is, once", () => {
  call.connect("phi", "");
  const id = call.say("Hello", null);
  FakeWebSocket.newest.accept();
  receive({ type: "session.created", session: {} });
  receive({ type: "session.updated", session: {} });
  const { sent } = FakeWebSocket.newest;
  assert.deepEqual(types(FakeWebSocket.newest).slice(1), [
    "conversation.item.create",
    "response.create",
  ]);
  assert.equal(sent[1].item.id, id);
  assert.ok(id.length <= 32);
});

test("what is written while the line is made anew goes out over the new one", () => {
  const socket = connected();
  socket.readyState = 3;
  call.say("Hello", null);
  assert.deepEqual(types(socket), ["session.update"]);
  socket.readyState = 1;
  receive({ type: "session.created", session: { id: "s" } });
  assert.deepEqual(types(socket).slice(1), ["conversation.item.create", "response.create"]);
});

test("what was written and not confirmed is asked after when the line is made anew", () => {
  const socket = connected();
  const id = call.say("Hello", null);
  receive({ type: "session.created", session: { id: "s" } });
  const asked = socket.sent.at(-1);
  assert.deepEqual([asked.type, asked.item_id], ["conversation.item.retrieve", id]);
  const error = { event_id: asked.event_id, code: "item_retrieve_invalid_item_id" };
  receive({ type: "error", error });
  assert.deepEqual(types(socket).slice(-2), ["conversation.item.create", "response.create"]);
  assert.deepEqual(faults, []);
});

test("hands-free sends every chunk and counts it", () => {
  const socket = connected();
  speak(5);
  assert.equal(types(socket).filter((type) => type === "input_audio_buffer.append").length, 5);
  assert.equal(call.audioMs, 100);
  assert.equal(call.soundOf({ startMs: 20, endMs: 60 }).length, 960);
});

test("hold to talk sends only what is held, between clear and commit", () => {
  call.isHandsFree = false;
  const socket = connected();
  speak(4);
  call.startTalking();
  speak(6);
  assert.equal(call.stopTalking(), true);
  speak(4);
  assert.deepEqual(types(socket).slice(1), [
    "input_audio_buffer.clear",
    ...Array(6).fill("input_audio_buffer.append"),
    "input_audio_buffer.commit",
    "response.create",
  ]);
  receive({ type: "input_audio_buffer.committed", item_id: "u" });
  assert.deepEqual(call.conversation.turns[0].speech, { startMs: 0, endMs: 120 });
});

test("a touch of the button is no turn", () => {
  call.isHandsFree = false;
  const socket = connected();
  call.startTalking();
  speak(4);
  assert.equal(call.stopTalking(), false);
  assert.equal(types(socket).at(-1), "input_audio_buffer.clear");
});

test("talking and writing interrupt the answer, and only an answer", () => {
  call.isHandsFree = false;
  const socket = connected();
  call.interrupt();
  assert.deepEqual(types(socket), ["session.update"]);
  receive({ type: "response.created", response: { id: "r" } });
  call.startTalking();
  assert.deepEqual(types(socket).slice(1), ["response.cancel", "input_audio_buffer.clear"]);
});

test("a frame goes out with its time stamp and is kept; on a slow network it is dropped", async () => {
  const socket = connected();
  const jpeg = new Blob([Uint8Array.of(0xff, 0xd8)]);
  const next = new Promise((resolve) =>
    call.addEventListener("frame", resolve, { once: true }),
  );
  camera.give("frame", { jpeg, timestampMs: 1234 });
  await next;
  assert.deepEqual(socket.sent.at(-1), {
    type: "input_image_buffer.append",
    image: "/9g=",
    timestamp_ms: 1234,
  });
  assert.equal(call.frames.find(1234).jpeg, jpeg);
  socket.bufferedAmount = 2 ** 20;
  camera.give("frame", { jpeg, timestampMs: 1734 });
  await jpeg.arrayBuffer();
  assert.equal(call.frames.find(1734), null);
  assert.equal(call.numFramesDropped, 1);
});

test("a new session counts its audio from zero", () => {
  connected();
  speak(5);
  receive({ type: "session.created", session: {} });
  assert.equal(call.audioMs, 0);
  speak(1);
  assert.equal(call.soundOf({ startMs: 0, endMs: null }).length, 480);
});

test("a refused device is a fault, not an exception, and a muted one stays muted", async () => {
  connected();
  microphone.failure = new DOMException("no", "NotAllowedError");
  await call.listen("");
  assert.deepEqual(faults, ["The microphone is blocked"]);
  microphone.failure = null;
  call.mute(true);
  await call.listen("other");
  assert.equal(microphone.isMuted, true);
});

test("a device allowed only after the call ended is closed at once", async () => {
  connected();
  const asked = call.listen("");
  call.close();
  await asked;
  assert.equal(call.hasMicrophone, false);
});

test("a device that goes away is closed and said", async () => {
  connected();
  await call.look("");
  camera.give("ended", null);
  assert.equal(call.hasCamera, false);
  assert.deepEqual(faults, ["No camera was found"]);
});

test("server errors are shown, except that nothing was left to cancel", () => {
  connected();
  receive({ type: "error", error: { code: "response_cancel_not_active", message: "x" } });
  receive({ type: "error", error: { code: "invalid_value", message: "Invalid value: 'x'." } });
  assert.deepEqual(faults, ["Invalid value: 'x'."]);
});
