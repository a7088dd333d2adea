"""Figures of turns, from events as a client gets them."""

import math
from typing import Any

import pytest

from assistant.cli.turn_figures import percentile, summary, turns_of

Told = list[tuple[float, dict[str, Any]]]


def answer(number: str, times: list[float], vendor: dict[str, Any] | None = None) -> Told:
    """Return the events of one answer whose deltas came at these times."""
    events: Told = [(times[0], {"type": "response.created", "response": {"id": number}})]
    delta = {"type": "response.output_text.delta", "response_id": number, "delta": "a"}
    events += [(at, delta) for at in times]
    response: dict[str, Any] = {"id": number, "status": "completed"}
    if vendor is not None:
        response["assistant"] = vendor
    return [*events, (times[-1], {"type": "response.done", "response": response})]


def stopped(at: float) -> Told:
    return [(at, {"type": "input_audio_buffer.speech_stopped"})]


VENDOR = {
    "timeline": {"hard_end_ms": 1000.0, "first_byte_ms": 1004.0},
    "early": {
        "speculations": 2, "confirmed": 1, "won_ms": 80.0, "read_tokens": 60,
        "early_tokens": 50, "written_tokens": 15, "wasted_tokens": 25,
    },
}  # fmt: skip


def test_a_turn_is_timed_from_the_news_that_speech_stopped() -> None:
    (turn,) = turns_of([*stopped(1.0), *answer("r1", [1.25, 1.5, 2.0])])
    assert turn.waited_s == 0.25
    assert turn.gaps_s == (0.25, 0.5)
    assert (turn.text, turn.status) == ("aaa", "completed")


def test_what_only_the_service_knows_comes_from_its_own_key() -> None:
    (turn,) = turns_of([*stopped(1.0), *answer("r1", [1.25], VENDOR)])
    assert turn.first_byte_s == pytest.approx(0.004)
    assert turn.early["read_tokens"] == 60


def test_a_service_that_tells_nothing_is_still_measured_from_outside() -> None:
    figures = summary([turns_of([*stopped(1.0), *answer("r1", [1.25, 1.5])])])
    assert figures["hard_end_to_socket_p50_ms"] is None
    assert figures["speech_stopped_to_delta_p50_ms"] == 250.0
    assert figures["speculations_started"] == 0


def test_an_answer_to_something_typed_has_nothing_to_wait_for() -> None:
    first, second = turns_of(
        [*stopped(1.0), *answer("r1", [1.25]), *answer("r2", [9.0, 9.5])]
    )
    assert first.waited_s == 0.25
    assert second.waited_s is None


def test_gaps_are_within_an_answer_and_the_longest_of_each_session_is_kept() -> None:
    one = turns_of([*answer("r1", [1.0, 1.1]), *answer("r2", [9.0, 9.3])])
    other = turns_of(answer("r3", [1.0]))
    figures = summary([one, other])
    assert figures["longest_gap_ms"] == 300.0
    assert figures["longest_gap_by_session_ms"] == [300.0, 0.0]
    assert (figures["sessions"], figures["turns"]) == (2, 3)


def test_what_was_guessed_is_added_up() -> None:
    session = turns_of([*answer("r1", [1.0], VENDOR), *answer("r2", [2.0], VENDOR)])
    figures = summary([session])
    assert figures["speculations_started"] == 4
    assert figures["speculations_rolled_back"] == 2
    assert figures["read_early_tokens"] == 100
    assert figures["won_ms_per_turn"] == 80.0
    assert figures["wasted_share"] == round(50 / 150, 4)


def test_nothing_measured_is_nothing_and_not_zero() -> None:
    figures = summary([[]])
    assert figures["turns"] == 0
    assert figures["speech_stopped_to_delta_p95_ms"] is None


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 21)]
    assert percentile(values, 0.5) == 10
    assert percentile(values, 0.95) == 19
    assert percentile(values, 1.0) == 20
    assert math.isnan(percentile([], 0.5))
