from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, strategies as st

from assistant.config import PairingConfig
from assistant.turns.pairing import FrameMeta, Pairing, pair


def always_new(a: int, b: int) -> float:
    return 1.0


def never_new(a: int, b: int) -> float:
    return 0.0


def at(*captured_s: float) -> list[FrameMeta]:
    """Frames 1, 2, … captured at these times, all equally sharp."""
    return [FrameMeta(id, time, 0.5) for id, time in enumerate(captured_s, start=1)]


def reasons(pairing: Pairing) -> list[str]:
    return [decision.reason for decision in pairing.decisions]


ONE = PairingConfig(freshness_s=3.0, after_end_s=0.25)
THREE = PairingConfig(frames_per_turn=3, freshness_s=3.0, after_end_s=0.25)


def test_one_frame_per_turn_is_the_newest_in_the_window() -> None:
    pairing = pair(at(6.9, 7.5, 10.5, 12.2, 12.4), 10.0, 12.0, ONE, always_new)
    assert pairing.used == [4]
    assert reasons(pairing) == ["stale", "superseded", "superseded", "used", "after_window"]


def test_the_bounds_of_the_window_belong_to_it() -> None:
    assert reasons(pair(at(7.0), 10.0, 12.0, ONE, always_new)) == ["used"]
    assert reasons(pair(at(12.25), 10.0, 12.0, ONE, always_new)) == ["used"]


def test_a_blurred_frame_gives_way_to_an_older_sharp_one() -> None:
    frames = [FrameMeta(1, 10.0, 0.3), FrameMeta(2, 11.0, 0.01)]
    config = PairingConfig(min_sharpness=0.02)
    pairing = pair(frames, 10.0, 12.0, config, always_new)
    assert pairing.used == [1]
    assert reasons(pairing) == ["used", "blurred"]


def test_no_frame_leaves_the_turn_without_a_picture() -> None:
    assert pair([], 10.0, 12.0, ONE, always_new) == Pairing([], [])
    assert pair(at(1.0), 10.0, 12.0, ONE, always_new).used == []


def test_an_unchanged_scene_still_gives_the_turn_a_picture() -> None:
    assert pair(at(10.0, 11.0), 10.0, 12.0, ONE, never_new).used == [2]


def test_a_prefilled_frame_is_kept_while_the_scene_is_unchanged() -> None:
    pairing = pair(at(10.0, 11.0, 12.0), 10.0, 12.0, ONE, never_new, prefilled=1)
    assert pairing.used == [1]
    assert reasons(pairing) == ["used", "superseded", "unchanged"]


def test_a_prefilled_frame_gives_way_when_the_scene_changed() -> None:
    pairing = pair(at(10.0, 11.0), 10.0, 12.0, ONE, always_new, prefilled=1)
    assert pairing.used == [2]
    assert reasons(pairing) == ["superseded", "used"]


def test_a_prefilled_frame_that_is_no_candidate_is_ignored() -> None:
    assert pair(at(10.0, 11.0), 10.0, 12.0, ONE, never_new, prefilled=99).used == [2]
    assert pair(at(1.0, 11.0), 10.0, 12.0, ONE, never_new, prefilled=1).used == [2]


def test_several_frames_spread_over_the_candidates_and_end_with_the_newest() -> None:
    pairing = pair(at(10.0, 10.4, 11.1, 11.6, 12.0), 10.0, 12.0, THREE, always_new)
    assert pairing.used == [1, 3, 5]
    assert reasons(pairing) == ["used", "over_limit", "used", "over_limit", "used"]


def test_of_several_alike_only_the_newest_is_used() -> None:
    pairing = pair(at(10.0, 11.0, 12.0), 10.0, 12.0, THREE, never_new)
    assert pairing.used == [3]
    assert reasons(pairing) == ["unchanged", "unchanged", "used"]


def scenes(*shown: int) -> Callable[[int, int], float]:
    """Frame 1 shows the first scene, and so on; scenes differ by their numbers / 10."""
    return lambda a, b: abs(shown[a - 1] - shown[b - 1]) / 10


TIMES = (10.0, 10.5, 11.0, 11.5, 12.0)


@pytest.mark.parametrize(
    ("policy", "shown", "used"),
    [
        ("latest", (1, 2, 3, 4, 5), [3, 4, 5]),
        ("latest", (1, 2, 5, 5, 5), [1, 2, 5]),
        ("latest", (5, 5, 5, 5, 5), [5]),
        ("change", (1, 9, 9, 9, 8), [1, 2, 5]),
        ("change", (1, 2, 2, 7, 7), [1, 4, 5]),
        ("change", (1, 2, 3, 4, 5), [1, 2, 5]),
        ("uniform", (1, 2, 3, 4, 5), [1, 3, 5]),
    ],
)
def test_a_policy_says_which_of_several_frames_are_used(
    policy: Literal["latest", "change", "uniform"], shown: tuple[int, ...], used: list[int]
) -> None:
    config = replace(THREE, policy=policy)
    assert pair(at(*TIMES), 10.0, 12.0, config, scenes(*shown)).used == used


@pytest.mark.parametrize("policy", ["latest", "change", "uniform"])
def test_under_every_policy_the_newest_is_used_and_the_rest_has_a_reason(
    policy: Literal["latest", "change", "uniform"],
) -> None:
    for number in range(6):
        config = replace(THREE, policy=policy, frames_per_turn=number)
        for novel in (always_new, never_new):
            pairing = pair(at(*TIMES), 10.0, 12.0, config, novel)
            assert len(pairing.used) <= number
            assert (5 in pairing.used) == (number > 0)
            assert len(pairing.decisions) == len(TIMES)


def test_no_frames_per_turn_uses_none() -> None:
    config = PairingConfig(frames_per_turn=0)
    pairing = pair(at(11.0, 12.0), 10.0, 12.0, config, always_new)
    assert pairing.used == []
    assert reasons(pairing) == ["over_limit", "over_limit"]


def test_decisions_come_in_the_order_offered_even_if_the_times_do_not() -> None:
    pairing = pair(at(11.0, 10.0), 10.0, 12.0, ONE, always_new)
    assert [decision.id for decision in pairing.decisions] == [1, 2]
    assert pairing.used == [1]


times = st.floats(0, 20, allow_nan=False)
offers = st.lists(st.tuples(times, st.floats(0, 1)), max_size=12).map(
    lambda rows: [FrameMeta(id, *row) for id, row in enumerate(rows)]
)
configs = st.builds(
    PairingConfig,
    frames_per_turn=st.integers(0, 4),
    freshness_s=st.floats(0, 5),
    after_end_s=st.floats(0, 5),
    min_sharpness=st.floats(0, 1),
    min_novelty=st.floats(0, 1),
)


@given(offers, times, times, configs, st.floats(0, 1), st.integers(0, 12) | st.none())
def test_every_pairing_keeps_its_promises(
    frames: list[FrameMeta],
    start_s: float,
    length_s: float,
    config: PairingConfig,
    difference: float,
    prefilled: int | None,
) -> None:
    end_s = start_s + length_s
    pairing = pair(frames, start_s, end_s, config, lambda a, b: difference, prefilled)
    assert [decision.id for decision in pairing.decisions] == [f.id for f in frames]
    used = [decision for decision in pairing.decisions if decision.used]
    assert sorted(pairing.used) == sorted(decision.id for decision in used)
    assert all((d.reason == "used") == d.used for d in pairing.decisions)
    assert len(used) <= config.frames_per_turn
    captured = {frame.id: frame for frame in frames}
    chosen = [captured[id] for id in pairing.used]
    assert chosen == sorted(chosen, key=lambda frame: frame.captured_s)
    for frame in chosen:
        assert (
            start_s - config.freshness_s <= frame.captured_s <= end_s + config.after_end_s
        )
        assert frame.sharpness >= config.min_sharpness
    eligible = [
        d for d in pairing.decisions if d.reason not in ("stale", "blurred", "after_window")
    ]
    assert bool(used) == bool(eligible and config.frames_per_turn)
