"""Some of what ``python -m tests.bench.rtc_fuzz`` does, in every run."""

from random import Random

import pytest

from tests.bench.rtc_fuzz import TARGETS, mutated
from tests.rounds import rounds


@rounds(50, 300)
@pytest.mark.parametrize("target", TARGETS)
def test_after_any_damage_good_packets_are_heard_and_seen(target: str, rounds: int) -> None:
    damages = TARGETS[target](Random(11))
    for _ in range(rounds):
        next(damages)


def test_damage_is_the_same_for_the_same_seed() -> None:
    whole = bytes(range(200))
    assert mutated(Random(3), whole, whole) == mutated(Random(3), whole, whole) != whole
