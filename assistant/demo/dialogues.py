"""
Conversations in the small world, drawn at random, with what the assistant should answer.

Chooses who says what about which scene; makes no sound, no picture and no token.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from assistant.demo import questions, scenes, world
from assistant.demo.questions import Turn, ask_about, phrase
from assistant.demo.scenes import Scene
from assistant.demo.world import ASKS, TOOLS, Ask, Language, Tool

TRANSCRIBE = "Transcribe the audio clip into text."
TRANSLATE = "Translate the audio to {}."
TRANSCRIBE_AND_TRANSLATE = (
    "Transcribe the audio to text, and then translate the audio to {}. "
    "Use <sep> as a separator between the original transcript and the translation."
)
LANGUAGES: tuple[Language, ...] = ("German", "Spanish")
STRANGE_TYPED = (
    "tell me a joke", "who won the war", "explain gravity", "what is two plus two",
    "write a poem", "asdf", "the house of my uncle", "where do you live",
    "how old is the moon", "i like trains", "translate this", "is it raining there",
    "buy some milk", "book a table for two", "why", "what do you think", "no idea at all",
)  # fmt: skip


STRANGE_WORDS = (
    "about", "after", "airport", "animal", "apple", "because", "before", "birthday",
    "book", "bread", "brother", "buy", "cheese", "city", "coffee", "company", "computer",
    "cook", "country", "dance", "doctor", "dream", "eat", "email", "explain", "family",
    "find", "flight", "football", "friend", "funny", "game", "give", "guitar", "history",
    "hotel", "joke", "kitchen", "know", "language", "letter", "list", "make", "money",
    "moon", "movie", "music", "my", "news", "our", "paper", "phone", "poem", "price",
    "question", "read", "recipe", "river", "school", "shop", "sing", "sister", "some",
    "song", "story", "summer", "teach", "tell", "ticket", "tomorrow", "train", "travel",
    "uncle", "wallet", "war", "water", "week", "why", "winter", "work", "write", "year",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
INSTRUCTIONS = (
    "You are a helpful assistant.", "Be brief.", "Answer in one short sentence.",
    "You are a friendly voice assistant in a car.", "Be kind and answer briefly.",
    "Speak English.", "You help people at a kiosk.", "You are a helpful AI assistant.",
    "Answer the question about the picture.", "Your name is Robin.",
)  # fmt: skip
RESULTS = (
    "ok", "OK", "done", "Done.", "true", "null", "success", '{"ok": true}', "{}",
    '{"status": "ok"}', '{"result": "done"}', '{"success": true}', '"ok"', "1",
)  # fmt: skip
TOOL_INSTRUCTIONS = (
    world.TOOL_INSTRUCTIONS, "You are a helpful assistant.", "Use the tools.",
    "You control a car.", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialogue:
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    instructions: str = ""


def draw_dialogue(
    rng: np.random.Generator, *, has_picture: bool, spoken: float
) -> Dialogue:
    """
    Draw a conversation of one or two turns.

    Args:
        rng: Decides everything.
        has_picture: Whether every turn comes with a picture, as with a camera switched on.
        spoken: Which share of the conversations is spoken.
    """
    is_spoken = bool(rng.random() < spoken)
    instructions = ""
    if rng.random() < 0.2:
        instructions = str(rng.choice(INSTRUCTIONS))
        if rng.random() < 0.3:
            instructions = _strange(rng)
    if has_picture:
        choice = rng.random()
        if choice < 0.12:
            return Dialogue(_change(rng, is_spoken), (), instructions)
        turns = [picture_turn(rng, is_spoken=is_spoken)]
        if choice < 0.3:
            turns.append(_second(rng, turns[0]))
        elif choice < 0.55:
            more = range(int(rng.integers(1, 4)))
            turns += [picture_turn(rng, is_spoken=is_spoken) for _ in more]
        return Dialogue(tuple(turns), (), instructions)
    if rng.random() < 0.3:
        return with_tools(rng, is_spoken)
    if is_spoken and rng.random() < 0.2:
        return Dialogue((written_down(rng),), (), instructions)
    turns = [plain_turn(rng, is_spoken=is_spoken)]
    while rng.random() < 0.3 and len(turns) < 4:
        turns.append(plain_turn(rng, is_spoken=is_spoken))
    return Dialogue(tuple(turns), (), instructions)


def plain_turn(rng: np.random.Generator, *, is_spoken: bool) -> Turn:
    """Draw a turn that needs no picture, or that lacks the one it needs."""
    choice = rng.random()
    if choice < 0.13:
        text = "" if is_spoken else _strange(rng)
        return Turn(text, world.NOT_UNDERSTOOD, is_spoken)
    if choice < 0.23:
        kinds = (*world.PICTURE_KINDS, *world.FOLLOW_UPS, "changed")
        text = phrase(rng, kinds[int(rng.integers(len(kinds)))])
    elif choice < 0.41:
        words = world.DIGITS + world.COMMANDS
        text = words[int(rng.integers(len(words)))]
    elif choice < 0.62:
        text = phrase(rng, "word")
    elif choice < 0.8:
        text = phrase(rng, "talk")
    else:
        text = car_command(rng)
    return Turn(text, world.answer(ASKS[text]), is_spoken)


def purpose_of(command: str) -> str:
    """Return what function one of the commands of the car needs."""
    *_, call = world.CAR[command]
    return call.split()[0]


def car_command(rng: np.random.Generator) -> str:
    """Return one of the commands of the car: each purpose as often as any other."""
    purpose = list(TOOLS)[int(rng.integers(len(TOOLS)))]
    commands = [name for name in world.CAR if purpose_of(name) == purpose]
    return phrase(rng, "car", commands[int(rng.integers(len(commands)))])


def _strange(rng: np.random.Generator) -> str:
    choice = rng.random()
    if choice < 0.3:
        return STRANGE_TYPED[int(rng.integers(len(STRANGE_TYPED)))]
    words = []
    for _ in range(int(rng.integers(1, 7))):
        kind = rng.random()
        if kind < 0.65:
            words.append(str(rng.choice(STRANGE_WORDS)))
        elif kind < 0.85 and choice < 0.8:
            words.append(str(rng.choice(world.WORDS)))
        else:
            letters = rng.choice(list(_LETTERS), int(rng.integers(2, 8)))
            words.append("".join(letters))
    text = " ".join(words)
    return text if text not in ASKS and not set(words) <= set(world.WORDS) else "asdf"


def picture_turn(rng: np.random.Generator, *, is_spoken: bool) -> Turn:
    """Draw a turn with one picture."""
    if rng.random() < 0.2:
        turn = plain_turn(rng, is_spoken=is_spoken)
        if turn.answer != world.NO_PICTURE:
            scene = scenes.draw_scene(rng, int(rng.integers(0, 4)))
            return replace(turn, scenes=(scene,))
    kinds = (*world.PICTURE_KINDS, "count", "colour", "shape", "place")
    return ask_about(rng, kinds[int(rng.integers(len(kinds)))], is_spoken=is_spoken)


def seconds(rng: np.random.Generator, first: Turn, count: int) -> list[Turn]:
    """Draw what may be asked next about the same thing, or else about its picture."""
    turns: list[Turn] = []
    for _ in range(count):
        text = _follow_up(rng, first)
        if text is None or rng.random() < 0.3:
            turns += questions.ask_more(rng, first, 2, spoken=first.is_spoken)[1:]
        else:
            answer = world.answer(ASKS[text], first.scenes)
            turns.append(replace(first, text=text, answer=answer))
    return turns


def _second(rng: np.random.Generator, first: Turn) -> Turn:
    """Draw what is asked next: about the same thing, or something else."""
    text = _follow_up(rng, first)
    if text is None:
        return picture_turn(rng, is_spoken=first.is_spoken)
    return replace(first, text=text, answer=world.answer(ASKS[text], first.scenes))


def _follow_up(rng: np.random.Generator, first: Turn) -> str | None:
    """Return a question that says what it is about only together with ``first``."""
    kind = ASKS.get(first.text, Ask("word")).kind
    if kind not in ("colour", "shape", "place", "is_colour", "is_shape"):
        return None
    kinds = [after for after, base in world.FOLLOW_UPS.items() if base != kind]
    return phrase(rng, kinds[int(rng.integers(len(kinds)))])


def _change(rng: np.random.Generator, is_spoken: bool) -> tuple[Turn, ...]:
    """Draw two pictures in time, in one turn or in two, and the question what changed."""
    (before,) = scenes.draw_scene(rng, 1)
    other = scenes.draw_scene(rng, 1)[0]
    after: Scene = (before,)
    old: Scene = (before,)
    match int(rng.integers(6)):
        case 0 | 1:
            x, y = before.x, before.y
            if rng.random() < 0.5:
                x = 0.2 + rng.uniform(0, 0.15) if x > 0.5 else 0.65 + rng.uniform(0, 0.15)
            else:
                y = 0.2 + rng.uniform(0, 0.15) if y > 0.5 else 0.65 + rng.uniform(0, 0.15)
            after = (replace(before, x=float(x), y=float(y)),)
        case 2:
            after = (replace(before, colour=other.colour),)
        case 3:
            after = (replace(before, shape=other.shape),)
        case 4:
            old, after = ((), after) if rng.random() < 0.5 else (old, ())
        case _:
            pass
    text = phrase(rng, "changed")
    answer = world.answer(ASKS[text], [old, after])
    if rng.random() < 0.4:
        return (Turn(text, answer, is_spoken, (old, after)),)
    earlier = phrase(rng, "see" if rng.random() < 0.5 else "colour")
    first = Turn(earlier, world.answer(ASKS[earlier], [old]), is_spoken, (old,))
    return first, Turn(text, answer, is_spoken, (after,))


def with_tools(rng: np.random.Generator, is_spoken: bool) -> Dialogue:
    """Draw one turn to an assistant that has functions."""
    opening, (turn,) = tool_turns(rng, 1, float(is_spoken))
    return replace(opening, turns=(turn,))


def tool_turns(
    rng: np.random.Generator, count: int, spoken: float
) -> tuple[Dialogue, list[Turn]]:
    """Draw some functions, in a conversation yet to begin, and turns it may begin with."""
    purposes = [str(purpose) for purpose in rng.permutation(list(TOOLS))]
    purposes = purposes[: int(rng.integers(1, len(TOOLS) + 1))]
    tools = tuple(draw_tool(rng, purpose) for purpose in purposes)
    opening = Dialogue((), tools, str(rng.choice(TOOL_INSTRUCTIONS)))
    turns: list[Turn] = []
    while len(turns) < count:
        is_spoken = bool(rng.random() < spoken)
        if rng.random() < 0.2:
            turn = plain_turn(rng, is_spoken=is_spoken)
            if turn.text not in ASKS or ASKS[turn.text].kind != "car":
                turns.append(turn)
            continue
        # Left to chance, half of the commands would need a function that is not there.
        has_tool = len(purposes) == len(TOOLS) or bool(rng.random() < 0.6)
        text = car_command(rng)
        while (purpose_of(ASKS[text].about) in purposes) != has_tool:
            text = car_command(rng)
        answer = world.answer(ASKS[text], (), tools)
        turn = Turn(text, answer, is_spoken)
        if has_tool and rng.random() < 0.5:
            closing = world.answer(ASKS[text])
            turn = replace(turn, result=_result(rng, closing), closing=closing)
        turns.append(turn)
    return opening, turns


def _result(rng: np.random.Generator, done: str) -> str:
    """Return what a function may say that has done what it was asked to."""
    choice = rng.random()
    if choice < 0.25:
        return done
    if choice < 0.6:
        return str(rng.choice(RESULTS))
    key, value = (str(rng.choice(STRANGE_WORDS)) for _ in range(2))
    made: dict[str, object] = {key: value if rng.random() < 0.5 else int(rng.integers(99))}
    if rng.random() < 0.5:
        made = {"ok": True, **made}
    return json.dumps(made)


def draw_tool(rng: np.random.Generator, purpose: str) -> Tool:
    """Return a function under one of its names."""
    if rng.random() < 0.4:
        return world.usual_tool(purpose)
    names, arguments, *_ = TOOLS[purpose]
    return Tool(purpose, str(rng.choice(names)), str(rng.choice(arguments)))


def written_down(rng: np.random.Generator) -> Turn:
    """Draw something said with the request to write it down or to translate it."""
    if rng.random() < 0.5:
        kind = questions.KINDS[int(rng.integers(len(questions.KINDS)))]
        # Names and numbers are many, and only in commands.
        text = phrase(rng, kind) if rng.random() < 0.5 else car_command(rng)
        return Turn(text, text, True, (), TRANSCRIBE)
    talk = list(world.TALK.values())
    text = talk[int(rng.integers(len(talk)))][0][0]
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    translated = world.translation(text, language)
    assert translated is not None
    if rng.random() < 0.5:
        return Turn(text, translated, True, (), TRANSLATE.format(language))
    both = f"{text} <sep> {translated}"
    return Turn(text, both, True, (), TRANSCRIBE_AND_TRANSLATE.format(language))


def typed(rng: np.random.Generator, text: str) -> str:
    """Return a text as people type it: with or without capitals, marks and a "u"."""
    if rng.random() < 0.3:
        text = text.replace("colour", "color")
    if rng.random() < 0.6:
        text = text[:1].upper() + text[1:]
    first = text.split()[0].lower() if text else ""
    is_question = first in {"what", "which", "how", "where", "is", "do", "who", "can"}
    if rng.random() < 0.6:
        text += "?" if is_question else "."
    return text


def texts_for_tokenizer() -> Sequence[str]:
    """Return everything whose words should be few tokens."""
    rng = np.random.default_rng(0)
    texts: list[str] = [TRANSCRIBE, *TOOL_INSTRUCTIONS, *INSTRUCTIONS, world.NO_TOOL]
    for language in LANGUAGES:
        texts += [TRANSLATE.format(language), TRANSCRIBE_AND_TRANSLATE.format(language)]
        texts += [world.translation(text, language) or "" for text in ASKS]
    for purpose, (names, arguments, *_) in TOOLS.items():
        for name in names:
            for argument in arguments:
                texts += 3 * [f"[{Tool(purpose, name, argument).declared()}, "]
    for text, ask in ASKS.items():
        texts += [text, text.capitalize(), world.answer(ask)]
        if ask.kind in ("word", "talk"):
            continue
        tools = [world.usual_tool(purpose) for purpose in TOOLS]
        for number in (0, 1, 1, 1, 2, 3, 4, 5, 6):
            seen = scenes.draw_scene(rng, number), scenes.draw_scene(rng, min(number, 1))
            texts.append(world.answer(ask, seen, tools))
    texts += [f"a {word}" for word in world.WORDS for _ in range(40)]
    texts += [f"a {word}" for word in STRANGE_WORDS for _ in range(3)]
    return texts + list(STRANGE_TYPED)
