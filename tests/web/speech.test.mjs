// Sentences are read as they become whole, each one once; speaking over it hushes it.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ReadingVoice, sentencesFrom } from "../../web/speech.js";

let spoken = [];
globalThis.SpeechSynthesisUtterance = class {
  constructor(text) {
    this.text = text;
  }
};
globalThis.speechSynthesis = {
  speak: ({ text }) => spoken.push(text),
  cancel: () => spoken.push("(hush)"),
};
beforeEach(() => {
  spoken = [];
});

test("a sentence is whole when a space follows its mark", () => {
  assert.deepEqual(sentencesFrom("It is 3.5 m. Yes! And", 0, false), {
    sentences: ["It is 3.5 m.", "Yes!"],
    until: 18,
  });
});

test("the end of the answer ends the last sentence", () => {
  assert.deepEqual(sentencesFrom("One. Two", 5, true), { sentences: ["Two"], until: 8 });
  assert.deepEqual(sentencesFrom("One.", 4, true), { sentences: [], until: 4 });
});

test("a growing answer is read once", () => {
  const voice = new ReadingVoice();
  voice.isOn = true;
  const reply = { id: "r1", status: "in_progress", text: "" };
  for (const text of ["It ", "It is. ", "It is. Very ", "It is. Very old."]) {
    voice.follow({ ...reply, text }, false);
  }
  voice.follow({ ...reply, text: "It is. Very old.", status: "completed" }, false);
  voice.follow({ ...reply, text: "It is. Very old.", status: "completed" }, false);
  assert.deepEqual(spoken, ["It is.", "Very old."]);
});

test("speech and a stopped answer hush it", () => {
  const voice = new ReadingVoice();
  voice.isOn = true;
  voice.follow({ id: "r1", status: "completed", text: "Old. Older." }, true);
  voice.follow({ id: "r1", status: "cancelled", text: "Old. Older." }, false);
  assert.deepEqual(spoken, ["(hush)", "(hush)"]);
});

test("it says nothing unless asked to, and not what was answered before", () => {
  const voice = new ReadingVoice();
  const done = { id: "r1", status: "completed", text: "Old." };
  voice.follow(done, false);
  voice.isOn = true;
  voice.follow(done, false);
  assert.deepEqual(spoken, []);
});
