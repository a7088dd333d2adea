import numpy as np
import pytest

from assistant.demo import questions, world
from assistant.demo.world import ASKS, Kind


@pytest.mark.parametrize("kind", world.PICTURE_KINDS)
def test_every_kind_is_asked_with_its_answer(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        turn = questions.ask_about(rng, kind, is_spoken=True)
        assert ASKS[turn.text].kind == kind
        assert turn.answer == world.answer(ASKS[turn.text], turn.scenes)


@pytest.mark.parametrize("kind", ["colour", "count", "see", "colour_of"])
def test_more_is_asked_about_the_same_scene(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        first = questions.ask_about(rng, kind, is_spoken=False)
        turns = questions.ask_more(rng, first, 4, spoken=0.5)
        assert turns[0] == first
        assert {turn.scenes for turn in turns} == {first.scenes}
        for turn in turns:
            assert turn.answer == world.answer(ASKS[turn.text], turn.scenes)


def test_what_could_mean_several_things_is_not_asked() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        first = questions.ask_about(rng, "count", is_spoken=False)
        kinds = {
            ASKS[turn.text].kind for turn in questions.ask_more(rng, first, 4, spoken=0.0)
        }
        (scene,) = first.scenes
        if len(scene) > 1:
            assert not kinds & {"colour", "shape", "place", "is_colour", "is_shape"}
        if len({thing.shape for thing in scene}) < len(scene):
            assert kinds <= {"count", "has_shape"}


def test_half_of_the_time_what_is_asked_for_is_there() -> None:
    rng = np.random.default_rng(0)
    answers = [
        questions.ask_about(rng, "has_shape", is_spoken=False).answer for _ in range(300)
    ]
    assert 0.3 < np.mean([answer.startswith("Yes") for answer in answers]) < 0.6
