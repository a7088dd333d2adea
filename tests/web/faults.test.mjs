// Every fault says what happened and what to do.
import assert from "node:assert/strict";
import { test } from "node:test";

import { connectionFault, deviceFault } from "../../web/faults.js";

test("a page over plain HTTP is told about localhost and --tls self-signed", () => {
  const { advice } = deviceFault("microphone", "NotSupportedError", false);
  assert.match(advice, /localhost/);
  assert.match(advice, /--tls self-signed/);
});

test("a refused device is named, and what still works without it", () => {
  assert.match(deviceFault("camera", "NotAllowedError", true).title, /camera is blocked/);
  assert.match(deviceFault("camera", "NotAllowedError", true).advice, /answers unseeing/);
  assert.match(deviceFault("microphone", "NotAllowedError", true).advice, /you can type/);
});

test("missing, busy and unknown failures differ", () => {
  const titles = ["NotFoundError", "NotReadableError", "OddError"].map(
    (name) => deviceFault("microphone", name, true).title,
  );
  assert.equal(new Set(titles).size, 3);
});

test("a closed connection is explained by its code, then by what /ready said", () => {
  const lost = { code: 1006, reason: "", wasOpen: true };
  const never = { ...lost, wasOpen: false };
  assert.match(connectionFault({ ...lost, code: 1013 }, 200).title, /places/);
  assert.match(connectionFault({ ...lost, code: 1008 }, 200).title, /refused this session/);
  assert.match(connectionFault({ ...lost, code: 1000 }, 200).title, /ended/);
  assert.match(connectionFault(lost, null).title, /does not answer/);
  assert.match(connectionFault(never, 503).title, /loading/);
  assert.match(connectionFault(lost, 200).title, /lost/);
  assert.match(connectionFault(never, 200).title, /refused the connection/);
});
