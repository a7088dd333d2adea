"""
Which conversations the language model learns from, in which order.

To look things up in a picture has to be learned before there is much else to look at, or
it is never learned: typed questions about sparse pictures come first, each skill by
itself. First to find the one thing there is, then to compare it with what is asked for,
then to find one among several, then to name them all. Speech, all that needs no picture,
tools and conversations of several turns come on top, while the pictures fill up. What is
long, a picture or a list of tools, is asked about several times.
"""

import numpy as np

from assistant.demo import dialogues, questions, talk
from assistant.demo.adapter import PROJECTORS
from assistant.demo.dialogues import Dialogue
from assistant.demo.talk import Script, Sight, Spelling
from assistant.demo.world import Kind
from assistant.model.audio import Projector

FIND: tuple[Kind, ...] = ("colour", "shape", "place", "count")
COMPARE: tuple[Kind, ...] = ("is_colour", "is_shape", "has_shape")
PICK: tuple[Kind, ...] = ("colour_of", "place_of")
NAME: tuple[Kind, ...] = ("see",)
KINDS: tuple[Kind, ...] = (*FIND, *COMPARE, *PICK, *NAME, *PICK, *NAME, "has_shape")
"""The hard ones more often."""
Shares = tuple[tuple[float, tuple[Kind, ...]], ...]
STAGES: tuple[tuple[int, Shares], ...] = (
    (160, ((1.0, FIND),)),
    (700, ((0.8, COMPARE), (0.2, FIND))),
    (1250, ((0.6, PICK), (0.3, COMPARE), (0.1, FIND))),
    (1650, ((0.4, NAME), (0.3, PICK), (0.2, COMPARE), (0.1, FIND))),
)
"""Until which step typed questions of which kinds take which share of the steps."""
TYPED_STEPS = STAGES[-1][0]
SINGLE_STEPS = 2000
"""Until then there are no conversations of several turns."""
EARLY_SHARES, LATE_SHARES = (0.42, 0.2, 0.2, 0.06), (0.32, 0.08, 0.4, 0.03)
"""Of questions, plain turns, tools and writing down; the rest has several turns."""
LATE_STEPS = 2700
"""From here on what is long and hard has more room."""
FILLING_FROM, FILLING_STEPS = 1800, 800


def share_of_nothing(step: int) -> float:
    """Return which share of the patches that tell nothing pictures have by now."""
    return float(np.clip(0.05 + (step - FILLING_FROM) / FILLING_STEPS, 0.05, 1))


def talking(
    spelling: Spelling, rng: np.random.Generator, step: int
) -> tuple[str, list[Script]]:
    """Draw the conversations of one step with ideal senses, and name them."""
    choice, spoken = rng.random(), 0.5
    if step < TYPED_STEPS:
        kinds = _kinds_of(step, choice)
        if kinds is FIND:
            return "find", _questions(spelling, rng, 32, kinds, 0.0)
        # One hard kind at a time, so that each is felt.
        kind = kinds[int(rng.integers(len(kinds)))]
        return kind, _questions(spelling, rng, 32, (kind,), 0.0)
    shares = EARLY_SHARES if step < LATE_STEPS else LATE_SHARES
    questioned, plain, tools, written = np.cumsum(shares)
    if choice < questioned:
        return "questions", _questions(spelling, rng, 10, KINDS, spoken, 7)
    if choice < plain:
        return "plain", _plain(spelling, rng, 32, spoken)
    if choice < tools:
        return "tools", _tools(spelling, rng, 4, spoken, 12)
    if choice < written or step < SINGLE_STEPS:
        return "written", _written(spelling, rng, 24)
    if rng.random() < 0.4:
        return "follow-ups", _follow_ups(spelling, rng, 7, spoken, 5)
    has_picture = bool(rng.random() < 0.6)
    scripts = talk.draw_scripts(spelling, rng, 10, has_picture=has_picture)
    return "several turns", scripts


def _kinds_of(step: int, choice: float) -> tuple[Kind, ...]:
    """Return the kinds of a step's stage that ``choice``, from 0 to 1, falls upon."""
    shares = next(shares for until, shares in STAGES if step < until)
    for share, kinds in shares[:-1]:
        if choice < share:
            return kinds
        choice -= share
    return shares[-1][1]


def sensing(
    spelling: Spelling, rng: np.random.Generator
) -> tuple[str, list[Script], Projector | None]:
    """Draw the conversations of one step with real senses; also the adapter they need."""
    choice = rng.random()
    if choice < 0.06:
        return "typed", _plain(spelling, rng, 24, None), None
    if choice < 0.14:
        return "typed tools", _tools(spelling, rng, 3, 0.0, 10), None
    if choice < 0.37:
        kind, scripts = "questions", _questions(spelling, rng, 8, KINDS, 0.7, 4)
    elif choice < 0.49:
        kind, scripts = "plain", _plain(spelling, rng, 24, 1.0)
    elif choice < 0.67:
        kind, scripts = "tools", _tools(spelling, rng, 3, 1.0, 8)
    elif choice < 0.87:
        kind, scripts = "written", _written(spelling, rng, 24)
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
    each: int = 1,
) -> list[Script]:
    """Draw ``count`` pictures, and ``each`` so many questions."""
    scripts = []
    for _ in range(count):
        kind = kinds[int(rng.choice(len(kinds)))]
        is_spoken = bool(rng.random() < spoken)
        turn = questions.ask_about(rng, kind, is_spoken=is_spoken)
        if each == 1:
            scripts.append(spelling.script(Dialogue((turn,)), rng))
            continue
        turns = questions.ask_more(rng, turn, each, spoken=spoken)
        scripts.append(spelling.forked(Dialogue(()), turns, rng))
    return scripts


def _follow_ups(
    spelling: Spelling, rng: np.random.Generator, count: int, spoken: float, each: int
) -> list[Script]:
    """Draw ``count`` questions about pictures, and ``each`` so many that may follow."""
    scripts = []
    for _ in range(count):
        is_spoken = bool(rng.random() < spoken)
        first = dialogues.picture_turn(rng, is_spoken=is_spoken)
        seconds = dialogues.seconds(rng, first, each)
        scripts.append(spelling.forked(Dialogue((first,)), seconds, rng))
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


def _written(spelling: Spelling, rng: np.random.Generator, count: int) -> list[Script]:
    return [
        spelling.script(Dialogue((dialogues.written_down(rng),)), rng) for _ in range(count)
    ]


def _tools(
    spelling: Spelling, rng: np.random.Generator, count: int, spoken: float, each: int
) -> list[Script]:
    """Draw ``count`` lists of tools, and ``each`` so many requests."""
    return [
        spelling.forked(*dialogues.tool_turns(rng, each, spoken), rng) for _ in range(count)
    ]
