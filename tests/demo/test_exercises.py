import numpy as np
import pytest
import tokenizers

from assistant.demo import exercises
from assistant.demo.talk import Script, Sight, Sound, Spelling


@pytest.fixture(scope="module")
def spelling(tokenizer: tokenizers.Tokenizer) -> Spelling:
    return Spelling(tokenizer)


def pieces(scripts: list[Script], kind: type[Sight] | type[Sound]) -> int:
    return sum(isinstance(piece, kind) for script in scripts for piece in script.pieces)


def test_questions_about_pictures_come_first_and_are_typed(spelling: Spelling) -> None:
    for step in range(0, exercises.TYPED_STEPS, 50):
        _, scripts = exercises.talking(spelling, np.random.default_rng(step), step)
        assert pieces(scripts, Sight) == len(scripts)
        assert pieces(scripts, Sound) == 0


def test_later_everything_occurs(spelling: Spelling) -> None:
    kinds = {
        exercises.talking(spelling, np.random.default_rng(seed), 2500)[0]
        for seed in range(40)
    }
    singles = {"questions", "plain", "tools", "written"}
    assert kinds == singles | {"several turns", "follow-ups"}


def test_pictures_fill_up_little_by_little() -> None:
    shares = [exercises.share_of_nothing(step) for step in range(0, 4000, 100)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.05, 1.0)


def test_pictures_need_the_vision_adapter_and_typing_none(spelling: Spelling) -> None:
    modes = set()
    for seed in range(40):
        _, scripts, mode = exercises.sensing(spelling, np.random.default_rng(seed))
        modes.add(mode)
        if pieces(scripts, Sight):
            assert mode == "vision"
        if mode is None:
            assert not pieces(scripts, Sound)
    assert modes == {None, "speech", "vision"}
