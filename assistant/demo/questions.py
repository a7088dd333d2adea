"""Questions about pictures, drawn at random with a scene to ask about, and the answers."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from assistant.demo import scenes, world
from assistant.demo.scenes import COLOURS, SHAPES, Scene
from assistant.demo.world import ASKS, Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
_ABOUT_MANY: tuple[Kind, ...] = ("count", "has_shape")
_ABOUT_SOME: tuple[Kind, ...] = (
    *_ABOUT_MANY, "see", "see", "colour_of", "colour_of", "place_of", "place_of",
)  # fmt: skip
_SOME = 3
"""Up to so many things are named, and told from each other."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one user turn consists of, and the right answer."""

    text: str
    """What is said or typed; "" is something strange that is said."""
    answer: str
    is_spoken: bool
    scenes: tuple[Scene, ...] = ()
    """What the pictures show that come with the turn, oldest first."""
    instruction: str = ""
    """Typed after what is said."""
    result: str = ""
    """What the function says that the answer calls; "" is nothing, and ends the turn."""
    closing: str = ""
    """What is answered to the result."""


_BY_KIND: dict[Kind, list[str]] = {}
for _text, _ask in ASKS.items():
    _BY_KIND.setdefault(_ask.kind, []).append(_text)


def phrase(rng: np.random.Generator, kind: Kind, about: str = "") -> str:
    """Return one of the ways to ask for something."""
    texts = _BY_KIND[kind]
    if about:
        texts = [text for text in texts if ASKS[text].about == about]
    return texts[int(rng.integers(len(texts)))]


def ask_about(rng: np.random.Generator, kind: Kind, *, is_spoken: bool) -> Turn:
    """Draw a scene and a question of one kind about it."""
    return _asked(rng, kind, scene_for(rng, kind), is_spoken)


def ask_more(
    rng: np.random.Generator, turn: Turn, count: int, *, spoken: float
) -> list[Turn]:
    """Return a question with others about the same scene, ``count`` in all."""
    (scene,) = turn.scenes
    if len(scene) <= 1:
        kinds = world.PICTURE_KINDS
    elif len(scene) <= _SOME and len({thing.shape for thing in scene}) == len(scene):
        kinds = _ABOUT_SOME
    else:
        kinds = _ABOUT_MANY
    turns = [turn]
    while len(turns) < count:
        kind = kinds[int(rng.integers(len(kinds)))]
        turns.append(_asked(rng, kind, scene, bool(rng.random() < spoken)))
    return turns


def scene_for(rng: np.random.Generator, kind: Kind) -> Scene:
    """Draw a scene that a kind of question can be asked about."""
    if kind == "count":
        number = int(rng.integers(0, scenes.MAX_OBJECTS + 1))
        shapes = SHAPES if rng.random() < 0.5 else (str(rng.choice(SHAPES)),)
        is_same = bool(rng.random() < 0.4)
        return scenes.draw_scene(rng, number, same_colour=is_same, shapes=shapes)
    if kind in ("see", "has_shape", "colour_of", "place_of"):
        return scenes.draw_scene(rng, int(rng.choice([0, 1, 1, 2, 2, _SOME])))
    return scenes.draw_scene(rng, int(rng.random() < 0.9))


def _asked(rng: np.random.Generator, kind: Kind, scene: Scene, is_spoken: bool) -> Turn:
    text = phrase(rng, kind, _topic(rng, kind, scene))
    return Turn(text, world.answer(ASKS[text], [scene]), is_spoken, (scene,))


def _topic(rng: np.random.Generator, kind: Kind, scene: Scene) -> str:
    """Return the colour or shape that is asked for: half of the time one that is there."""
    if kind == "is_colour":
        topics, there = list(COLOURS), [thing.colour for thing in scene]
    elif kind in ("is_shape", "has_shape", "colour_of", "place_of"):
        topics, there = list(SHAPES), [thing.shape for thing in scene]
    else:
        return ""
    share = 0.85 if kind in ("colour_of", "place_of") else 0.5
    return str(rng.choice(there if there and rng.random() < share else topics))
