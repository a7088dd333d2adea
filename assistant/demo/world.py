"""
The demo's small world: everything that can be said to it, and what it answers.

An utterance means an ``Ask``; the answer follows from the ask, the pictures and the tools
at hand. All of it is plain data: no network, no sound and no picture is made here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.demo.scenes import (
    COLOURS,
    COLUMNS,
    ROWS,
    SHAPES,
    Scene,
    Thing,
    in_reading_order,
)

Kind = Literal[
    "word", "talk", "car", "colour", "shape", "count", "place", "see", "is_colour",
    "is_shape", "has_shape", "colour_of", "place_of", "changed", "and_colour", "and_shape",
    "and_place",
]  # fmt: skip
Language = Literal["German", "Spanish"]
PICTURE_KINDS: tuple[Kind, ...] = (
    "colour", "shape", "count", "place", "see", "is_colour", "is_shape", "has_shape",
    "colour_of", "place_of",
)  # fmt: skip
FOLLOW_UPS: dict[Kind, Kind] = {
    "and_colour": "colour",
    "and_shape": "shape",
    "and_place": "place",
}

NOT_UNDERSTOOD = "Sorry, I did not understand."
NO_PICTURE = "I have no picture."
NOTHING = "I see nothing."
NO_TOOL = "I have no tool for that."


@dataclass(frozen=True, slots=True)
class Ask:
    """What an utterance means; ``about`` is a word, a colour, a shape or a command."""

    kind: Kind
    about: str = ""


DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NUMBERS = (
    DIGITS
    + _TEENS
    + [ten if not n else f"{ten} {DIGITS[n]}" for ten in _TENS for n in range(10)]
)
"""As spoken, by value: 0 to 99."""
COMMANDS = ["yes", "no", "stop", "go", "on", "off", "up", "down", "left", "right"]
OTHER_WORDS = [
    "forward",
    "backward",
    "bed",
    "bird",
    "cat",
    "dog",
    "happy",
    "tree",
    "wow",
    "house",
    "follow",
    "learn",
]
NAMES = ("Anna", "Ben", "Maria", "Tom", "Lisa", "David", "John", "Sarah", "Peter")
TEMPERATURES = range(15, 31)
_COUNTS = ("no", "one", "two", "three", "four", "five", "six")

TALK: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    # name: what is said, the answer, German and Spanish of the first phrase
    "hello": (("hello", "hi", "hey there"), "Hello! How can I help you?", "Hallo", "Hola"),
    "morning": (("good morning",), "Good morning!", "Guten Morgen", "Buenos días"),
    "bye": (("goodbye", "bye", "see you later"), "Goodbye!", "Auf Wiedersehen", "Adiós"),
    "thanks": (("thank you", "thanks", "thank you very much"), "You are welcome.",
               "Danke", "Gracias"),
    "how": (("how are you", "how are you doing"), "I am fine, thank you.",
            "Wie geht es dir", "Cómo estás"),
    "who": (("who are you", "what is your name"), "I am a small demo model.",
            "Wer bist du", "Quién eres"),
    "can": (("what can you do", "help", "can you help me"),
            "I can hear simple words and see simple shapes.",
            "Was kannst du", "Qué puedes hacer"),
    "time": (("what time is it", "what is the time"), "I have no clock.",
             "Wie spät ist es", "Qué hora es"),
    "hear": (("can you hear me", "do you hear me"), "Yes, I can hear you.",
             "Hörst du mich", "Me oyes"),
    "sorry": (("i am sorry", "sorry"), "No problem.", "Es tut mir leid", "Lo siento"),
    "weather": (("what is the weather like", "how is the weather"),
                "I cannot see the weather.", "Wie ist das Wetter", "Qué tiempo hace"),
    "please": (("please repeat that", "say that again"), "I cannot repeat it.",
               "Bitte wiederholen", "Repite por favor"),
}  # fmt: skip

CAR: dict[str, tuple[tuple[str, ...], str, str]] = {
    # name: what is said, the answer without tools, the tool and its argument
    "lights on": (("turn on the lights", "lights on", "turn on the light",
                   "turn the lights on", "switch on the lights"),
                  "The lights are on.", "lights true"),
    "lights off": (("turn off the lights", "lights off", "turn off the light",
                    "turn the lights off", "switch off the lights"),
                   "The lights are off.", "lights false"),
    "radio on": (("turn on the radio", "turn the radio on", "radio on",
                  "play the radio"),
                 "The radio is on.", "radio true"),
    "radio off": (("turn off the radio", "turn the radio off", "radio off",
                   "stop the radio"),
                  "The radio is off.", "radio false"),
    "volume up": (("volume up", "turn up the volume", "louder please"),
                  "The volume is higher.", "volume 1"),
    "volume down": (("volume down", "turn down the volume", "quieter please"),
                    "The volume is lower.", "volume -1"),
    "open": (("open the windows", "open the window", "windows down"),
             "The windows are open.", "windows true"),
    "close": (("close the windows", "close the window", "windows up"),
              "The windows are closed.", "windows false"),
    "home": (("navigate home", "take me home", "drive home"),
             "This is the way home.", 'navigate "home"'),
}  # fmt: skip
for _n in TEMPERATURES:
    CAR[f"temperature {_n}"] = (
        (f"set the temperature to {NUMBERS[_n]}", f"temperature to {NUMBERS[_n]}"),
        f"The temperature is {_n}.",
        f"temperature {_n}",
    )
for _name in NAMES:
    CAR[f"call {_name}"] = (
        (f"call {_name.lower()}",),
        f"I am calling {_name}.",
        f'call "{_name}"',
    )


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as a client may declare it: what it is for, and what it is called."""

    purpose: str
    name: str
    argument: str

    def declared(self) -> str:
        """Return the declaration as JSON."""
        _, _, kind, description = TOOLS[self.purpose]
        schema = {
            "type": "object",
            "properties": {self.argument: {"type": kind}},
            "required": [self.argument],
        }
        return json.dumps(
            {"name": self.name, "description": description, "parameters": schema}
        )


TOOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, str]] = {
    # purpose: names of the function, of its argument, the argument's type, description
    "lights": (("set_lights", "switch_lights", "lights"), ("on", "state", "enabled"),
               "boolean", "Turn the lights on or off."),
    "radio": (("set_radio", "switch_radio", "radio"), ("on", "state", "enabled"),
              "boolean", "Turn the radio on or off."),
    "volume": (("change_volume", "adjust_volume", "volume"), ("step", "change", "amount"),
               "integer", "Turn the volume up or down."),
    "temperature": (("set_temperature", "set_climate", "temperature"),
                    ("degrees", "value", "celsius"), "integer", "Set the temperature."),
    "windows": (("set_windows", "move_windows", "windows"), ("open", "is_open", "opened"),
                "boolean", "Open or close the windows."),
    "navigate": (("navigate", "navigate_to", "start_navigation"),
                 ("to", "destination", "place"), "string", "Show the way to a place."),
    "call": (("call", "call_person", "phone"), ("name", "person", "contact"), "string",
             "Call a person."),
}  # fmt: skip
TOOL_INSTRUCTIONS = "You are a helpful assistant with some tools."


def usual_tool(purpose: str) -> Tool:
    """Return a function under the names that come first."""
    names, arguments, *_ = TOOLS[purpose]
    return Tool(purpose, names[0], arguments[0])


_QUESTIONS: dict[Kind, tuple[str, ...]] = {
    "colour": ("what colour is this", "what colour is it", "which colour is it",
               "which colour is this", "what colour do you see", "what is the colour"),
    "shape": ("what shape is this", "what shape do you see", "which shape is it",
              "what shape is it", "what is this", "what is it", "what is the shape"),
    "count": ("how many are there", "how many do you see", "how many shapes are there",
              "how many shapes do you see", "how many things do you see"),
    "place": ("where is it", "where is the shape", "where do you see it"),
    "see": ("what do you see", "what can you see", "what is in the picture",
            "describe the picture"),
    "changed": ("what changed", "what has changed", "what is different"),
    "and_colour": ("and its colour", "and the colour"),
    "and_shape": ("and its shape", "and the shape"),
    "and_place": ("and where is it", "and its place"),
}  # fmt: skip


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _build_asks() -> dict[str, Ask]:
    asks: dict[str, Ask] = {}
    words = [*NUMBERS, *COMMANDS, *OTHER_WORDS, *COLOURS, *SHAPES]
    asks |= {word: Ask("word", word) for word in words}
    for name, (phrases, *_) in TALK.items():
        asks |= {phrase: Ask("talk", name) for phrase in phrases}
    for name, (phrases, *_) in CAR.items():
        asks |= {phrase: Ask("car", name) for phrase in phrases}
    for kind, phrases in _QUESTIONS.items():
        asks |= {phrase: Ask(kind) for phrase in phrases}
    for colour in COLOURS:
        asks |= {f"is {it} {colour}": Ask("is_colour", colour) for it in ("it", "this")}
    for shape in SHAPES:
        a_shape = _article(shape)
        asks |= {f"is {it} {a_shape}": Ask("is_shape", shape) for it in ("it", "this")}
        asks[f"do you see {a_shape}"] = asks[f"is there {a_shape}"] = Ask(
            "has_shape", shape
        )
        asks[f"what colour is the {shape}"] = Ask("colour_of", shape)
        asks[f"where is the {shape}"] = Ask("place_of", shape)
    return asks


ASKS: dict[str, Ask] = _build_asks()
"""Every utterance of the world, in lower case without punctuation, and its meaning."""
WORDS: tuple[str, ...] = tuple(sorted({w for text in ASKS for w in text.split()}))


def answer(ask: Ask, scenes: Sequence[Scene] = (), tools: Sequence[Tool] = ()) -> str:
    """
    Return the right answer.

    Args:
        ask: What was said.
        scenes: What the turn's pictures show, oldest first; the newest is asked about.
        tools: The functions at hand; a call is answered as JSON in the control tokens'
            spelling.
    """
    if ask.kind == "word":
        return f"You said {ask.about}."
    if ask.kind == "talk":
        return TALK[ask.about][1]
    if ask.kind == "car":
        return _operate(ask.about, tools)
    if not scenes:
        return NO_PICTURE
    if ask.kind == "changed":
        return _difference(scenes[-2], scenes[-1]) if len(scenes) > 1 else NO_PICTURE
    return _look(ask, scenes[-1])


def _operate(command: str, tools: Sequence[Tool]) -> str:
    _, plain, call = CAR[command]
    if not tools:
        return plain
    purpose, _, value = call.partition(" ")
    for tool in tools:
        if tool.purpose == purpose:
            made = {"name": tool.name, "arguments": {tool.argument: json.loads(value)}}
            return f"<|tool_call|>{json.dumps([made])}<|/tool_call|>"
    return NO_TOOL


def _look(ask: Ask, scene: Scene) -> str:
    kind = FOLLOW_UPS.get(ask.kind, ask.kind)
    if kind == "has_shape":
        if any(thing.shape == ask.about for thing in scene):
            return f"Yes, I see {_article(ask.about)}."
        return f"No, I see no {ask.about}."
    if not scene:
        return NOTHING
    if kind == "count":
        count = len(scene)
        return "There is one." if count == 1 else f"There are {_COUNTS[count]}."
    if kind == "see":
        ordered = in_reading_order(scene)
        named = [_article(f"{thing.colour} {thing.shape}") for thing in ordered]
        return f"I see {' and '.join(named)}."
    if kind in ("colour_of", "place_of"):
        found = [thing for thing in scene if thing.shape == ask.about]
        if not found:
            return f"I see no {ask.about}."
        return _say(found[0], "colour" if kind == "colour_of" else "place")
    if kind in ("is_colour", "is_shape"):
        truth = scene[0].colour if kind == "is_colour" else _article(scene[0].shape)
        asked = ask.about if kind == "is_colour" else _article(ask.about)
        return f"{'Yes' if truth == asked else 'No'}, it is {truth}."
    return _say(scene[0], kind)


def _say(thing: Thing, kind: str) -> str:
    if kind == "colour":
        return f"It is {thing.colour}."
    if kind == "shape":
        return f"It is {_article(thing.shape)}."
    return f"It is {place(thing)}."


def place(thing: Thing) -> str:
    """Return where a thing is, in words."""
    row, col = thing.cell
    if ROWS[row] and COLUMNS[col]:
        return f"{ROWS[row]} {COLUMNS[col].removeprefix('on the ')}"
    return ROWS[row] or COLUMNS[col] or "in the middle"


def _difference(before: Scene, after: Scene) -> str:
    """Say what happened to the one thing that the pictures show."""
    if not before and not after:
        return NOTHING
    if not before:
        return "It appeared."
    if not after:
        return "It is gone."
    old, new = before[0], after[0]
    if old.shape != new.shape:
        return f"It became {_article(new.shape)}."
    if old.colour != new.colour:
        return f"It turned {new.colour}."
    right, down = new.x - old.x, new.y - old.y
    if max(abs(right), abs(down)) > 0.15:
        if abs(right) > abs(down):
            return "It moved right." if right > 0 else "It moved left."
        return "It moved down." if down > 0 else "It moved up."
    return "Nothing changed."


def translation(text: str, language: Language) -> str | None:
    """Return the fixed phrase ``text`` in another language, None if it is none."""
    ask = ASKS[text]
    if ask.kind != "talk" or TALK[ask.about][0][0] != text:
        return None
    _, _, german, spanish = TALK[ask.about]
    return german if language == "German" else spanish
