import pytest

from assistant.config import EndpointingConfig
from assistant.turns.endpointing import Endpointing
from assistant.turns.scoring import (
    WINDOW_S,
    Detection,
    Judged,
    Point,
    cut_offs_at,
    delay_at,
    detect,
    found_utterances,
    score,
    spoken_turns,
)

SETTINGS = Endpointing.from_config(EndpointingConfig(silence_duration_ms=512), 0)


def heard(pattern: str) -> list[float]:
    """Return probabilities: ``x`` speech, ``.`` silence, a third of a second each."""
    level = {"x": 0.95, ".": 0.02}
    return [level[sign] for sign in pattern for _ in range(10)]


def seconds(*numbers: int) -> list[tuple[float, float]]:
    """Return spans between pairs of signs of a pattern."""
    times = [number * 10 * WINDOW_S for number in numbers]
    return list(zip(times[::2], times[1::2], strict=True))


def test_labels_are_parted_where_they_are_far_enough_from_each_other() -> None:
    turns = spoken_turns([(1.0, 2.0), (2.05, 3.0), (3.5, 4.0), (5.0, 6.0)], 1.0)
    assert [(t.start_s, t.end_s) for t in turns] == [(1.0, 4.0), (5.0, 6.0)]
    assert turns[0].pauses == ((3.0, 3.5),), "a gap of 50 ms is no pause"


def test_a_decision_comes_the_silence_after_the_end() -> None:
    (found,) = found_utterances(heard(".xx"), SETTINGS)
    assert found.onset_s == pytest.approx(0.32)
    assert found.end_s == pytest.approx(0.96)
    assert found.decided_s - found.end_s == pytest.approx(0.512)


def test_a_decision_in_a_pause_is_a_cut_off_and_one_after_the_turn_a_delay() -> None:
    recording = Judged("", heard(".xx..xx...."), seconds(1, 3, 5, 7))
    result = score([recording], SETTINGS, turn_gap_s=1.0)
    assert (result.num_pauses, result.num_cut_off, result.num_turns) == (1, 1, 1)
    assert result.cut_off_share == 1.0
    assert result.delay_ms == pytest.approx(512)


def test_the_same_decision_is_right_where_the_gap_parts_two_turns() -> None:
    recording = Judged("", heard(".xx..xx...."), seconds(1, 3, 5, 7))
    result = score([recording], SETTINGS, turn_gap_s=0.6)
    assert (result.num_pauses, result.num_cut_off, result.num_turns) == (0, 0, 2)
    assert result.delays_s == pytest.approx([0.512, 0.512])


def test_a_turn_that_was_taken_for_one_with_the_next_is_late_by_the_gap() -> None:
    recording = Judged("", heard("xx.xx"), seconds(0, 2, 3, 5))
    result = score([recording], SETTINGS, turn_gap_s=0.3)
    assert result.num_merged == 1
    assert result.delays_s == pytest.approx([0.32, 0.512])


def test_recordings_add_up_and_speakers_do_not_learn_from_each_other() -> None:
    recording = Judged("", heard("xx..xx"), seconds(0, 2, 4, 6))
    one, two = (score([recording] * n, SETTINGS, 1.0) for n in (1, 2))
    assert two.num_cut_off == 2 * one.num_cut_off
    assert two.delays_s == one.delays_s * 2


def test_an_utterance_is_found_by_half_and_its_boundaries_are_compared() -> None:
    whole = Judged("", heard(".xxxx..."), seconds(1, 5))
    part = Judged("", heard("....x..."), seconds(1, 5))
    none = Judged("", heard("........"), seconds(1, 5))
    result = detect([whole, part, none], SETTINGS)
    assert (result.num_spoken, result.num_found) == (3, 1)
    assert result.errors_s == pytest.approx([0, 0])
    assert result.found_share == pytest.approx(1 / 3)


def test_boundaries_within_200_ms_are_right() -> None:
    assert Detection(errors_s=[0.0, -0.2, 0.21, 0.5]).close_share == 0.5
    assert Detection().close_share == 0.0


POINTS = [Point(100, 0.5, 150), Point(300, 0.2, 350), Point(500, 0.04, 560)]


def test_operating_points_are_the_best_within_a_budget() -> None:
    assert delay_at(POINTS, 0.05) == 560
    assert delay_at(POINTS, 0.5) == 150
    assert cut_offs_at(POINTS, 600) == 0.04
    assert cut_offs_at(POINTS, 400) == 0.2


def test_a_budget_that_nothing_meets_has_no_operating_point() -> None:
    assert delay_at(POINTS, 0.01) is None
    assert cut_offs_at(POINTS, 100) is None
