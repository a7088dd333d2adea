"""
Which conversations the language model learns from, in which order.

Questions about single pictures come first, typed, and with little in the pictures but
what is asked about: to look things up in a picture has to be learned before there is much
else to look at, or it is never learned. Then come speech, all that needs no picture, and
conversations of several turns, while the pictures fill up.
"""

import numpy as np

from assistant.demo import dialogues, talk, world
from assistant.demo.adapter import PROJECTORS
from assistant.demo.dialogues import Dialogue
from assistant.demo.talk import Script, Sight, Spelling
from assistant.demo.world import Kind
from assistant.model.audio import Projector

FIRST_KINDS: tuple[Kind, ...] = ("colour", "shape", "place", "count")
KINDS: tuple[Kind, ...] = (*world.PICTURE_KINDS, *FIRST_KINDS)
FIRST_STEPS, TYPED_STEPS, PICTURE_STEPS, SINGLE_STEPS = 330, 450, 650, 1300
"""Until then: the first kinds only, typed ones, ones about pictures, single turns."""
FILLING_FROM, FILLING_STEPS = 700, 1100


def share_of_nothing(step: int) -> float:
    """Return which share of the patches that tell nothing pictures have by now."""
    return float(np.clip(0.05 + (step - FILLING_FROM) / FILLING_STEPS, 0.05, 1))


def talking(
    spelling: Spelling, rng: np.random.Generator, step: int
) -> tuple[str, list[Script]]:
    """Draw the conversations of one step with ideal senses, and name them."""
    choice = rng.random()
    if step < FIRST_STEPS:
        return "first", _questions(spelling, rng, 32, FIRST_KINDS, 0.0)
    if step < PICTURE_STEPS:
        spoken = 0.0 if step < TYPED_STEPS else 0.5
        return "questions", _questions(spelling, rng, 28, KINDS, spoken)
    if choice < 0.45:
        return "questions", _questions(spelling, rng, 22, KINDS, 0.5)
    if choice < 0.72:
        return "plain", _plain(spelling, rng, 32, 0.5)
    if choice < 0.84:
        return "tools", _tools(spelling, rng, 8, 0.5)
    if choice < 0.89 or step < SINGLE_STEPS:
        return "written", [
            spelling.script(Dialogue((dialogues.written_down(rng),)), rng)
            for _ in range(24)
        ]
    has_picture = bool(rng.random() < 0.7)
    scripts = talk.draw_scripts(spelling, rng, 10, has_picture=has_picture)
    return "several turns", scripts


def sensing(
    spelling: Spelling, rng: np.random.Generator
) -> tuple[str, list[Script], Projector | None]:
    """Draw the conversations of one step with real senses; also the adapter they need."""
    choice = rng.random()
    if choice < 0.1:
        return "typed", _plain(spelling, rng, 24, None), None
    if choice < 0.5:
        kind, scripts = "questions", _questions(spelling, rng, 14, KINDS, 0.8)
    elif choice < 0.75:
        kind, scripts = "plain", _plain(spelling, rng, 24, 1.0)
    elif choice < 0.83:
        kind, scripts = "tools", _tools(spelling, rng, 8, 0.7)
    else:
        kind, has_picture = "several turns", bool(rng.random() < 0.7)
        scripts = talk.draw_scripts(spelling, rng, 8, has_picture=has_picture, spoken=0.9)
    has_sight = any(isinstance(p, Sight) for script in scripts for p in script.pieces)
    # A camera may have been on before: its adapter stays.
    is_vision = has_sight or rng.random() < 0.15
    return kind, scripts, PROJECTORS[1] if is_vision else PROJECTORS[0]


def _questions(
    spelling: Spelling,
    rng: np.random.Generator,
    count: int,
    kinds: tuple[Kind, ...],
    spoken: float,
) -> list[Script]:
    scripts = []
    for _ in range(count):
        kind = kinds[int(rng.choice(len(kinds)))]
        is_spoken = bool(rng.random() < spoken)
        turn = dialogues.ask_about(rng, kind, is_spoken=is_spoken)
        scripts.append(spelling.script(Dialogue((turn,)), rng))
    return scripts


def _plain(
    spelling: Spelling, rng: np.random.Generator, count: int, spoken: float | None
) -> list[Script]:
    scripts = []
    for _ in range(count):
        is_spoken = spoken is not None and bool(spoken == 1 or rng.random() < spoken)
        turn = dialogues.plain_turn(rng, is_spoken=is_spoken)
        scripts.append(spelling.script(Dialogue((turn,)), rng))
    return scripts


def _tools(
    spelling: Spelling, rng: np.random.Generator, count: int, spoken: float
) -> list[Script]:
    return [
        spelling.script(dialogues.with_tools(rng, bool(rng.random() < spoken)), rng)
        for _ in range(count)
    ]
