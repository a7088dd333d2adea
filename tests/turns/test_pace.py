import pytest

from assistant.config import LimitsConfig
from assistant.turns.clock import SAMPLE_RATE_HZ as SECOND
from assistant.turns.pace import REFILL, Pace
from assistant.wire.refusals import EventRefused

PACKET_S = 0.02
LIMITS = LimitsConfig(audio_ahead_s=10.0, audio_append_bytes=1024)


def heard_of(speed: float, duration_s: float, pace: Pace | None = None) -> float:
    """Send packets at so many times real time; return the seconds that were taken."""
    pace = pace or Pace(LIMITS)
    num_packets = round(duration_s * speed / PACKET_S)
    num_refused = 0
    for number in range(num_packets):
        try:
            pace.take(round(PACKET_S * SECOND), number * PACKET_S / speed)
        except EventRefused:
            num_refused += 1
    return (num_packets - num_refused) * PACKET_S


def test_sound_in_real_time_is_always_taken() -> None:
    pace = Pace(LIMITS)
    assert heard_of(1.0, 60.0, pace) == pytest.approx(60.0)
    assert not pace.is_flood


def test_a_clock_that_is_fast_by_a_fifth_is_no_reason_to_refuse() -> None:
    assert heard_of(1.2, 60.0) == pytest.approx(72.0)


def test_a_recording_may_come_at_once_up_to_the_bound() -> None:
    pace = Pace(LIMITS)
    pace.take(10 * SECOND, 1.0)
    with pytest.raises(EventRefused, match="10 s ahead of time") as refused:
        pace.take(1, 1.0)
    assert refused.value.code == "input_audio_too_fast"
    pace.take(5 * SECOND, 1.0 + 5 / REFILL)


def test_a_flood_is_taken_no_faster_than_a_quarter_over_real_time() -> None:
    pace = Pace(LIMITS)
    assert heard_of(50.0, 8.0, pace) == pytest.approx(10 + REFILL * 8.0, abs=0.1)
    assert pace.is_flood


def test_who_is_a_little_too_fast_is_refused_now_and_then_and_not_let_go() -> None:
    pace = Pace(LIMITS)
    assert heard_of(1.5, 120.0, pace) == pytest.approx(10 + REFILL * 120.0, abs=0.1)
    assert not pace.is_flood


def test_patience_ends_when_as_much_was_refused_as_may_come_at_once() -> None:
    pace = Pace(LIMITS)
    pace.take(10 * SECOND, 0.0)
    for is_flood in (False, False, True):
        with pytest.raises(EventRefused):
            pace.take(5 * SECOND, 0.0)
        assert pace.is_flood is is_flood


def test_time_that_runs_backwards_earns_nothing() -> None:
    pace = Pace(LIMITS)
    pace.take(10 * SECOND, 5.0)
    with pytest.raises(EventRefused):
        pace.take(SECOND, 0.0)
    with pytest.raises(EventRefused):
        pace.take(SECOND, 5.0)


def test_one_event_has_a_bound_of_its_own() -> None:
    pace = Pace(LIMITS)
    pace.check_size(1024)
    with pytest.raises(EventRefused, match="1025 bytes, the bound is 1024"):
        pace.check_size(1025)
