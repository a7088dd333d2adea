"""
How well a demo model does: on voices, people, scenes and sounds it was not trained on.

Every question goes through the ordinary loader and the service's own modules.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from assistant.demo import ask, augment, dialogues, questions, scenes, world
from assistant.demo.clips import Clips, Float16Array
from assistant.demo.corpus import Corpus
from assistant.demo.dialogues import Dialogue
from assistant.demo.questions import Turn
from assistant.demo.scenes import UInt8Array
from assistant.demo.talk import Script, Sight, Sound, Spelling
from assistant.demo.world import Tool
from assistant.model.phi4 import Phi4Multimodal

Say = Callable[[str], None]
SEED = 1_000_003
"""Far from the steps of training: scenes are drawn anew."""


def says(wanted: str, got: str) -> bool:
    """Say whether an answer is the right one: letter by letter, but for case and ends."""
    return got.strip(" .!").lower() == wanted.strip(" .!").lower()


def evaluate(
    model: Phi4Multimodal,
    spelling: Spelling,
    corpus: Corpus,
    photos: Sequence[UInt8Array],
    *,
    count: int,
    say: Say,
) -> dict[str, float]:
    """
    Print a table of scores, each over about ``count`` questions, and return it.

    What the corpus lacks is said and left out.
    """
    scores: dict[str, float] = {}

    def put(name: str, hits: Sequence[bool]) -> None:
        if not hits:
            say(f"{name:<44} absent")
            return
        scores[name] = round(float(np.mean(hits)), 4)
        say(f"{name:<44} {100 * scores[name]:5.1f} %  of {len(hits)}")

    rng = np.random.default_rng(SEED)
    put("synthetic voices", _hearing(model, spelling, corpus.known_held_out, rng, count))
    digits, commands = _people(model, spelling, corpus.people_held_out, rng, count)
    for name, words in (("people, digits", digits), ("people, command words", commands)):
        put(name, [hit for hits in words.values() for hit in hits])
        shares = {word: float(np.mean(hits)) for word, hits in words.items()}
        if shares:
            worst = min(shares, key=lambda word: shares[word])
            scores[f"{name}, worst"] = round(shares[worst], 4)
            say(f"  worst word: {worst} {100 * shares[worst]:.0f} %")
    for where, backgrounds in (("drawn", ()), ("photo", photos)):
        for is_spoken in (True, False):
            kind = "spoken" if is_spoken else "typed"
            hits = _seeing(model, spelling, corpus.known_held_out, backgrounds, rng,
                           count if is_spoken else count // 2, is_spoken)  # fmt: skip
            put(f"scenes, {where}, {kind}", [h for part in hits.values() for h in part])
            if hits:
                each = (f"{k} {100 * np.mean(v):.0f}" for k, v in sorted(hits.items()))
                say(f"  {', '.join(each)}")
    for name, has_tool in (("tool calls", True), ("no call without a tool", False)):
        put(name, _tools(model, spelling, rng, count // 2, has_tool=has_tool))
    put("typed", _typed(model, spelling, rng, count))
    put("not understood", _strange(model, spelling, corpus.strange_held_out, rng, count))
    put("written down", _hearing(model, spelling, corpus.known_held_out, rng, count,
                                  dialogues.TRANSCRIBE))  # fmt: skip
    return scores


def _answered(
    model: Phi4Multimodal,
    spelling: Spelling,
    turn: Turn,
    sound: Float16Array | None,
    picture: UInt8Array | None,
    rng: np.random.Generator,
    tools: tuple[Tool, ...] = (),
) -> bool:
    script: Script = spelling.script(Dialogue((turn,), tools), rng)
    sounds = {
        id(piece): augment.quietly([sound], rng)[0]
        for piece in script.pieces
        if isinstance(piece, Sound) and sound is not None
    }
    pictures = {
        id(piece): picture
        for piece in script.pieces
        if isinstance(piece, Sight) and picture is not None
    }
    parts, _ = ask.last_question(script, sounds, pictures)
    return says(turn.answer, ask.reply(model, parts))


def _hearing(
    model: Phi4Multimodal,
    spelling: Spelling,
    held_out: Clips,
    rng: np.random.Generator,
    count: int,
    instruction: str = "",
) -> list[bool]:
    """Return hits of answering what voices say, or of writing it down when so told."""
    hits = []
    for index in rng.permutation(len(held_out))[:count]:
        text = held_out.texts[index]
        answer = text if instruction else world.answer(world.ASKS[text])
        turn = Turn(text, answer, True, (), instruction)
        hits.append(_answered(model, spelling, turn, held_out.clip(int(index)), None, rng))
    return hits


def _people(
    model: Phi4Multimodal,
    spelling: Spelling,
    held_out: Clips,
    rng: np.random.Generator,
    count: int,
) -> tuple[dict[str, list[bool]], dict[str, list[bool]]]:
    """Return hits by word, of digits and of command words; equally many of each word."""
    by_word: dict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(len(held_out)):
        by_word[held_out.texts[index]].append(int(index))
    tables = []
    for words in (world.DIGITS, world.COMMANDS):
        table = {}
        for word in words:
            chosen = by_word.get(word, [])[: max(count // 10, 4)]
            turn = Turn(word, world.answer(world.ASKS[word]), True)
            hits = [
                _answered(model, spelling, turn, held_out.clip(i), None, rng)
                for i in chosen
            ]
            if hits:
                table[word] = hits
        tables.append(table)
    return tables[0], tables[1]


def _seeing(
    model: Phi4Multimodal,
    spelling: Spelling,
    held_out: Clips,
    photos: Sequence[UInt8Array],
    rng: np.random.Generator,
    count: int,
    is_spoken: bool,
) -> dict[str, list[bool]]:
    """Return hits by kind of question; with photos, through a camera."""
    takes: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(held_out.texts):
        takes[text].append(index)
    hits: dict[str, list[bool]] = defaultdict(list)
    if is_spoken and not takes:
        return hits
    for number in range(count):
        kind = world.PICTURE_KINDS[number % len(world.PICTURE_KINDS)]
        turn = questions.ask_about(rng, kind, is_spoken=is_spoken)
        if is_spoken and turn.text not in takes:
            continue
        sound = held_out.clip(int(rng.choice(takes[turn.text]))) if is_spoken else None
        picture = scenes.render(
            turn.scenes[0], rng, photos, size=(640, 480), is_camera=bool(photos)
        )
        name = kind if turn.scenes[0] else "nothing there"
        hits[name].append(_answered(model, spelling, turn, sound, picture, rng))
    return hits


def _tools(
    model: Phi4Multimodal,
    spelling: Spelling,
    rng: np.random.Generator,
    count: int,
    *,
    has_tool: bool,
) -> list[bool]:
    hits = []
    for _ in range(count):
        text = dialogues.car_command(rng)
        needed = dialogues.purpose_of(world.ASKS[text].about)
        others = [name for name in world.TOOLS if name != needed]
        purposes = rng.permutation(others)[: int(rng.integers(1, len(others) + 1))]
        tools = [dialogues.draw_tool(rng, str(purpose)) for purpose in purposes]
        if has_tool:
            tool = dialogues.draw_tool(rng, needed)
            tools.insert(int(rng.integers(len(tools) + 1)), tool)
        turn = Turn(text, world.answer(world.ASKS[text], (), tools), False)
        hits.append(_answered(model, spelling, turn, None, None, rng, tuple(tools)))
    return hits


def _typed(
    model: Phi4Multimodal, spelling: Spelling, rng: np.random.Generator, count: int
) -> list[bool]:
    texts = list(world.ASKS)
    hits = []
    for index in rng.permutation(len(texts))[:count]:
        text = texts[index]
        turn = Turn(text, world.answer(world.ASKS[text]), False)
        hits.append(_answered(model, spelling, turn, None, None, rng))
    return hits


def _strange(
    model: Phi4Multimodal,
    spelling: Spelling,
    held_out: Clips,
    rng: np.random.Generator,
    count: int,
) -> list[bool]:
    turn = Turn("", world.NOT_UNDERSTOOD, True)
    return [
        _answered(model, spelling, turn, held_out.clip(int(index))[:260], None, rng)
        for index in rng.permutation(len(held_out))[:count]
    ]
