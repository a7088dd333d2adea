// @ts-check
/** The page: wires its elements to a call. Every decision is made elsewhere. */

import { Call } from "./call.js";
import { Camera, FRAMES_PER_S } from "./camera.js";
import { latencyOf, median, spelled } from "./latency.js";
import { Microphone } from "./microphone.js";
import { isAnswering, phaseOf } from "./protocol.js";
import { ReadingVoice } from "./speech.js";
import { Composer } from "./ui/composer.js";
import { listDevices } from "./ui/devices.js";
import { $, write } from "./ui/dom.js";
import { wireHold } from "./ui/hold.js";
import { Ribbon } from "./ui/ribbon.js";
import { Toasts } from "./ui/toasts.js";
import { TurnsView } from "./ui/turns.js";

const PHASES = {
  hearing: "Hearing you",
  thinking: "Thinking",
  answering: "Answering",
};
const CONNECTIONS = {
  off: "Not connected",
  connecting: "Connecting…",
  on: "Connected",
  down: "",
};

/** Distance from the end, in pixels, within which the conversation follows by itself. */
const FOLLOW_PX = 80;

const video = $("video", HTMLVideoElement);
const scroll = $("scroll", HTMLElement);
const hold = $("hold", HTMLButtonElement);
const settings = $("settings", HTMLElement);
const microphoneChoice = $("microphone-choice", HTMLSelectElement);
const cameraChoice = $("camera-choice", HTMLSelectElement);

const toasts = new Toasts($("toasts", HTMLElement));
const call = new Call(document.baseURI, new Microphone(), new Camera(video));
/** @type {Map<string, string>} item id to data URL: servers need not echo photos */
const photos = new Map();
const turns = new TurnsView($("turns", HTMLElement), {
  sound: (span) => call.soundOf(span),
  frame: (timestampMs) => call.frames.find(timestampMs),
  frameNear: (sessionMs) => call.frames.near(sessionMs),
  photo: (itemId) => photos.get(itemId) ?? null,
});
const voice = new ReadingVoice();
const ribbon = new Ribbon($("ribbon", HTMLCanvasElement), marks);

let model = "phi-4-multimodal";
let numFrames = 0;
let takesWebRtc = false;

function marks() {
  const speech = call.conversation.turns
    .filter((turn) => turn.epoch === call.conversation.epoch)
    .slice(-8)
    .flatMap((turn) => turn.speech ?? []);
  const frames = call.frames
    .between(call.audioMs - 30_000, Infinity)
    .map(({ audioMs }) => audioMs);
  return { speech, frames };
}

// ---- Starting and ending

/** @param {boolean} withCamera */
async function start(withCamera) {
  if (!connect()) return;
  await call.listen(microphoneChoice.value);
  if (withCamera) await call.look(cameraChoice.value);
}

/** @returns {boolean} false when it could not even be tried */
function connect() {
  if (call.isOpen) return true;
  try {
    call.connect(model, $("key", HTMLInputElement).value.trim(), takesWebRtc);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    toasts.show({
      title: "This access key cannot be sent",
      advice: "It has other characters than letters, digits and -._~",
    });
    return false;
  }
  return true;
}

$("start-both", HTMLElement).addEventListener("click", () => start(true));
$("start-voice", HTMLElement).addEventListener("click", () => start(false));
$("end", HTMLElement).addEventListener("click", () => {
  voice.hush();
  call.close();
});

const mute = $("mute", HTMLButtonElement);
mute.addEventListener("click", async () => {
  if (call.hasMicrophone) call.mute(!call.isMuted);
  else await call.listen(microphoneChoice.value);
  showDevices();
});

$("camera", HTMLElement).addEventListener("click", async () => {
  if (call.hasCamera) call.lookAway();
  else await call.look(cameraChoice.value);
});

// ---- Choosing

microphoneChoice.addEventListener("change", () => {
  if (call.hasMicrophone) call.listen(microphoneChoice.value);
});
cameraChoice.addEventListener("change", () => {
  if (call.hasCamera) call.look(cameraChoice.value);
});
navigator.mediaDevices?.addEventListener("devicechange", () =>
  listDevices(microphoneChoice, cameraChoice),
);
for (const choice of document.querySelectorAll("input[name=turns]")) {
  choice.addEventListener("change", () => {
    call.setHandsFree(/** @type {HTMLInputElement} */ (choice).value === "free");
    showMode();
  });
}
const aloud = $("aloud", HTMLInputElement);
aloud.addEventListener("change", () => {
  voice.isOn = aloud.checked;
  voice.hush();
  wish({ speaks_aloud: aloud.checked ? "yes" : "no" });
});
const watch = $("watch", HTMLInputElement);
watch.addEventListener("change", () => {
  const instruction = watch.value.trim();
  wish({ watch: instruction === "" ? null : { instruction } });
});
const settingsButton = $("settings-button", HTMLButtonElement);
settingsButton.addEventListener("click", () => openSettings(!("open" in settings.dataset)));
document.addEventListener("pointerdown", ({ target }) => {
  const isInside =
    target instanceof Node && (settings.contains(target) || settingsButton.contains(target));
  if (!isInside) openSettings(false);
});

/** @param {boolean} isOpen on a phone; on a wide screen the settings always show */
function openSettings(isOpen) {
  if (isOpen) settings.dataset.open = "";
  else delete settings.dataset.open;
  settingsButton.setAttribute("aria-expanded", String(isOpen));
}

// ---- Holding to talk, interrupting

const holdAgain = wireHold(hold, {
  canPress: () => call.isOpen && !call.isHandsFree,
  press() {
    if (call.hasMicrophone) call.startTalking();
    else call.listen(microphoneChoice.value);
    if (call.isHeld) voice.hush();
    showPhase();
    return call.isHeld;
  },
  release() {
    if (!call.stopTalking()) toasts.show({ title: "Hold it while you speak", advice: "" });
    showPhase();
  },
});
addEventListener("keydown", ({ key }) => {
  if (key === "Escape") {
    openSettings(false);
    interrupt();
  }
});
$("interrupt", HTMLElement).addEventListener("click", interrupt);

/** @param {import("./protocol.js").Extras} extras */
function wish(extras) {
  Object.assign(call.extras, extras);
  call.setHandsFree(call.isHandsFree);
}

function interrupt() {
  voice.hush();
  call.interrupt();
}

// ---- Writing

new Composer(
  (message, photo) => {
    if (!connect()) return false;
    const id = call.say(message, photo);
    if (photo !== null) photos.set(id, photo);
    follow();
    return true;
  },
  (fault) => toasts.show(fault),
);

// ---- Showing

call.addEventListener("conversation", () => {
  if (call.hasMicrophone) holdAgain();
  const isFollowing = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < FOLLOW_PX;
  const { conversation } = call;
  turns.show(conversation);
  showPhase();
  voice.follow(conversation.turns.at(-1)?.reply ?? null, phaseOf(conversation) === "hearing");
  $("interrupt", HTMLButtonElement).disabled = !isAnswering(conversation);
  $("welcome", HTMLElement).hidden = conversation.turns.length > 0;
  const waits = conversation.turns.flatMap(({ reply }) =>
    reply?.timeline ? (latencyOf(reply.timeline).firstWordsMs ?? []) : [],
  );
  const middle = median(waits);
  write($("tally-latency", HTMLElement), middle === null ? "–" : spelled(middle));
  if (isFollowing) follow();
  else $("latest", HTMLElement).hidden = false;
});

function showPhase() {
  const phase = call.isHeld && !call.isMuted ? "hearing" : phaseOf(call.conversation);
  const label = $("phase", HTMLElement);
  label.dataset.phase = phase;
  if (phase !== "listening") write(label, PHASES[phase]);
  else if (!call.hasMicrophone) write(label, "No microphone");
  else write(label, call.isMuted ? "Muted" : call.isHandsFree ? "Listening" : "Ready");
}

function follow() {
  scroll.scrollTop = scroll.scrollHeight;
  $("latest", HTMLElement).hidden = true;
}
$("latest", HTMLElement).addEventListener("click", follow);
scroll.addEventListener("scroll", () => {
  if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < FOLLOW_PX) {
    $("latest", HTMLElement).hidden = true;
  }
});

call.addEventListener("connection", (event) => {
  const { state, fault } = /** @type {CustomEvent<import("./call.js").Connection>} */ (event)
    .detail;
  write(
    $("connection-text", HTMLElement),
    state === "down" && fault ? fault.title : CONNECTIONS[state],
  );
  // Retries repeat the fault; it is said once per outage.
  if (fault && document.body.dataset.connection !== "down") toasts.show(fault);
  document.body.dataset.connection = state;
  const isOff = state === "off";
  $("start", HTMLElement).hidden = !isOff;
  $("pulse", HTMLElement).hidden = isOff;
  $("controls", HTMLElement).hidden = isOff;
  if (isOff) ribbon.clear();
});

call.addEventListener("transport", (event) => {
  const { name, note } = /** @type {CustomEvent<import("./line.js").Transport>} */ (event).detail;
  document.body.dataset.transport = name;
  if (note) toasts.show({ title: "Connected by WebSocket", advice: note });
  write($("tally-network", HTMLElement), name === "webrtc" ? "WebRTC" : "WebSocket");
  $("tally-network", HTMLElement).title = note;
});

const NETWORK_EVERY_MS = 2000;
setInterval(async () => {
  if (!call.isOpen) return;
  const network = await call.network();
  if (network === null) return;
  const { lossPercent, jitterMs, roundTripMs } = network;
  write(
    $("tally-network", HTMLElement),
    `${spelled(roundTripMs)}, ±${jitterMs.toFixed(0)}, ${lossPercent.toFixed(1)} % lost`,
  );
}, NETWORK_EVERY_MS);

call.addEventListener("fault", (event) => {
  toasts.show(/** @type {CustomEvent<import("./faults.js").Fault>} */ (event).detail);
});

call.addEventListener("chunk", (event) => {
  const { pcm, isSent } = /** @type {CustomEvent<{pcm: Int16Array, isSent: boolean}>} */ (event)
    .detail;
  ribbon.push(pcm, isSent ? call.audioMs - 20 : null);
});

call.addEventListener("frame", () => {
  numFrames += 1;
  write($("tally-frames", HTMLElement), String(numFrames));
});

call.addEventListener("devices", () => {
  if (call.hasMicrophone) holdAgain();
  showDevices();
  listDevices(microphoneChoice, cameraChoice);
});

function showDevices() {
  showPhase();
  mute.setAttribute("aria-pressed", String(call.isMuted || !call.hasMicrophone));
  $("camera", HTMLElement).setAttribute("aria-pressed", String(call.hasCamera));
  $("view", HTMLElement).dataset.camera = call.hasCamera ? "on" : "off";
  const size = `${video.videoWidth} × ${video.videoHeight}`;
  write(
    $("view-caption", HTMLElement),
    call.hasCamera ? `${size}, ${FRAMES_PER_S} pictures a second` : "Camera off",
  );
}

function showMode() {
  showPhase();
  hold.hidden = call.isHandsFree;
  const hint = call.isHandsFree
    ? "It answers when you pause. Speak to interrupt it."
    : "Hold the button or the space bar while you speak.";
  write($("turns-hint", HTMLElement), hint);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => turns.redraw());

async function showModel() {
  const response = await fetch("health").catch(() => null); // shown when connecting, too
  if (!response?.ok) return;
  const health = await response.json();
  if (typeof health.model === "string") model = health.model;
  takesWebRtc = health.webrtc === true;
  write($("model", HTMLElement), [health.model, health.device].filter(Boolean).join(" on "));
  $("model", HTMLElement).hidden = !health.model;
  $("notice", HTMLElement).hidden = !health.is_meaningless;
  write(
    $("notice", HTMLElement),
    "Random weights: the words mean nothing here. The hearing, the pictures and the timing are real.",
  );
}

showMode();
showModel();
