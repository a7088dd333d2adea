// The connection is kept up with growing pauses, and given up where it makes no sense.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { RealtimeSocket } from "../../web/websocket.js";

/** Records what was asked of it; the test plays the network. */
class FakeWebSocket {
  static OPEN = 1;
  /** @type {FakeWebSocket[]} */
  static opened = [];
  readyState = 0;
  bufferedAmount = 7;
  sent = [];
  closedWith = null;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    FakeWebSocket.opened.push(this);
  }
  accept() {
    this.readyState = 1;
    this.onopen();
  }
  drop(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
  send(text) {
    this.sent.push(text);
  }
  close(code) {
    this.closedWith = code;
  }
}
globalThis.WebSocket = FakeWebSocket;
mock.timers.enable({ apis: ["setTimeout"] });

beforeEach(() => {
  FakeWebSocket.opened = [];
});

const newest = () => FakeWebSocket.opened.at(-1);

function opened(key = "") {
  const socket = new RealtimeSocket("ws://host/v1/realtime?model=m", key);
  const downs = [];
  socket.addEventListener("down", ({ detail }) => downs.push(detail));
  socket.open();
  return { socket, downs };
}

test("the key travels as a subprotocol, never in the address", () => {
  opened("secret");
  assert.deepEqual(newest().protocols, ["realtime", "openai-insecure-api-key.secret"]);
  assert.doesNotMatch(newest().url, /secret/);
  opened();
  assert.deepEqual(newest().protocols, ["realtime"]);
});

test("events go out as JSON while it is open and are dropped otherwise", () => {
  const { socket } = opened();
  assert.equal(socket.send({ type: "x" }), false);
  newest().accept();
  assert.equal(socket.send({ type: "x" }), true);
  assert.deepEqual(newest().sent, ['{"type":"x"}']);
  assert.equal(socket.numBufferedBytes, 7);
});

test("server events come out parsed", () => {
  const { socket } = opened();
  let event = null;
  socket.addEventListener("event", ({ detail }) => (event = detail));
  newest().onmessage({ data: '{"type":"session.created"}' });
  assert.deepEqual(event, { type: "session.created" });
});

test("an outage is retried with growing, bounded pauses", () => {
  const { downs } = opened();
  for (let attempt = 0; attempt < 8; attempt++) {
    newest().drop(1006);
    mock.timers.tick(downs.at(-1).retryInMs);
  }
  assert.deepEqual(
    downs.map(({ retryInMs }) => retryInMs),
    [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000],
  );
  assert.equal(FakeWebSocket.opened.length, 9);
});

test("a connection that worked starts the pauses anew", () => {
  const { downs } = opened();
  newest().drop(1006);
  mock.timers.tick(500);
  newest().accept();
  newest().drop(1012);
  assert.equal(downs.at(-1).retryInMs, 500);
});

test("it gives up after twenty-one refusals in a row", () => {
  const { downs } = opened();
  while (downs.at(-1)?.retryInMs !== null) {
    newest().drop(1006);
    mock.timers.tick(15_000);
  }
  assert.equal(downs.length, 21);
});

for (const code of [1000, 1008]) {
  test(`a close with ${code} is final`, () => {
    const { downs } = opened();
    newest().accept();
    newest().drop(code, "bye");
    assert.deepEqual(downs, [{ code, reason: "bye", retryInMs: null }]);
  });
}

test("closing ends it, also between two attempts", () => {
  const { socket, downs } = opened();
  newest().drop(1006);
  socket.close();
  mock.timers.tick(60_000);
  assert.equal(FakeWebSocket.opened.length, 1);
  assert.equal(downs.length, 1);
});
