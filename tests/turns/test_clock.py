import random

import pytest

from assistant.turns.clock import (
    DRIFT_S_PER_S,
    GAP_S,
    JUMP_S,
    MAX_RUNS,
    SAMPLE_RATE_HZ,
    AudioClock,
    FrameClock,
)

CHUNK = 320  # 20 ms


def chunks(
    clock: AudioClock, first: int, num: int, started: float, delay: float = 0.0
) -> int:
    """Let chunks arrive as they are spoken, ``delay`` late; return the index after them."""
    for number in range(1, num + 1):
        now = started + number * CHUNK / SAMPLE_RATE_HZ + delay
        clock.receive(first + number * CHUNK, now)
    return first + num * CHUNK


# --- sound -------------------------------------------------------------------------------


def test_before_any_sound_the_clock_starts_with_the_session() -> None:
    assert AudioClock().seconds(SAMPLE_RATE_HZ) == 1.0


def test_a_sample_was_captured_when_a_steady_stream_says_so() -> None:
    clock = AudioClock()
    chunks(clock, 0, 100, started=5.0)
    assert clock.seconds(0) == pytest.approx(5.0)
    assert clock.seconds(16_000) == pytest.approx(6.0)


def test_jitter_leaves_only_the_smallest_delay_that_was_seen() -> None:
    for seed in range(20):
        draw = random.Random(seed)
        clock, now = AudioClock(), 0.0
        smallest = 1.0
        for number in range(1, 200):
            spoken = 3.0 + number * 0.02
            now = max(now, spoken + draw.uniform(0.01, 0.2))  # in order, as TCP is
            smallest = min(smallest, now - spoken)
            clock.receive(number * CHUNK, now)
        assert clock.seconds(0) == pytest.approx(3.0 + smallest)


def test_after_a_muted_microphone_new_sound_is_new_and_old_sound_stays_old() -> None:
    clock = AudioClock()
    muted_at = chunks(clock, 0, 50, started=2.0)
    chunks(clock, muted_at, 50, started=13.0)
    assert clock.seconds(muted_at) == pytest.approx(3.0)
    assert clock.seconds(muted_at + 1) == pytest.approx(13.0, abs=0.001)
    assert clock.seconds(muted_at + 16_000) == pytest.approx(14.0)


def test_many_short_pauses_add_up_to_a_gap() -> None:
    clock, end, now = AudioClock(), 0, 0.0
    for _ in range(40):
        end = chunks(clock, end, 5, started=now)
        now += 0.1 + GAP_S / 3
    late = (now - 0.1 - GAP_S / 3) - clock.seconds(end - 5 * CHUNK)
    assert abs(late) <= GAP_S


def test_a_stalled_network_that_catches_up_is_no_gap_in_the_end() -> None:
    clock = AudioClock()
    end = chunks(clock, 0, 50, started=0.0)
    for number in range(1, 31):  # 600 ms of sound at once, when the last of it is spoken
        clock.receive(end + number * CHUNK, 1.6)
    assert clock.seconds(end + 1) == pytest.approx(1.0, abs=0.001)
    assert clock.seconds(0) == pytest.approx(0.0)


def test_sound_sent_faster_than_it_is_played_ends_when_it_arrived() -> None:
    clock = AudioClock()
    for number in range(1, 251):  # 5 s within 250 ms
        clock.receive(number * CHUNK, 10.0 + number / 1000)
    assert clock.seconds(250 * CHUNK) == pytest.approx(10.25)
    assert clock.seconds(0) == pytest.approx(5.25)


def test_times_never_run_backwards_within_one_stream() -> None:
    for seed in range(20):
        draw = random.Random(seed)
        clock, end, now = AudioClock(), 0, 0.0
        for _ in range(100):
            size = draw.choice([160, 320, 4800])
            pause = draw.choice([0.0, 0.0, 0.0, 0.5, 3.0])
            now += size / SAMPLE_RATE_HZ + pause + draw.uniform(0, 0.05)
            end += size
            clock.receive(end, now)
        times = [clock.seconds(sample) for sample in range(0, end + 1, 160)]
        assert times == sorted(times)
        assert times[-1] <= now + 1e-6


def test_the_number_of_remembered_gaps_is_bounded() -> None:
    clock, end = AudioClock(), 0
    for minute in range(10 * MAX_RUNS):
        end = chunks(clock, end, 5, started=minute * 60.0)
    assert len(clock._runs) == MAX_RUNS
    assert clock.seconds(end) == pytest.approx((10 * MAX_RUNS - 1) * 60 + 0.1)
    assert clock.seconds(0) <= clock.seconds(end)


# --- pictures ----------------------------------------------------------------------------


def test_a_frame_without_timestamp_was_captured_when_it_arrived() -> None:
    assert FrameClock().captured(None, 7.5) == 7.5


def test_two_frames_are_as_far_apart_as_their_timestamps_whatever_the_network_did() -> None:
    clock = FrameClock()
    first = clock.captured(1_700_000_000_000, 1.0)
    second = clock.captured(1_700_000_000_500, 2.1)  # 600 ms late
    assert first == 1.0
    assert second == pytest.approx(1.5, abs=0.001)


def test_jitter_is_taken_out_to_the_smallest_delay() -> None:
    for seed in range(20):
        draw = random.Random(seed)
        clock, smallest = FrameClock(), 1.0
        for number in range(60):
            delay = draw.uniform(0.02, 1.0)
            smallest = min(smallest, delay)
            captured = clock.captured(number * 1000.0, 3.0 + number + delay)
            drift = 60 * DRIFT_S_PER_S
            assert 3 + number <= captured <= 3 + number + smallest + drift


def test_no_frame_is_from_the_future() -> None:
    for seed in range(20):
        draw = random.Random(seed)
        clock, now = FrameClock(), 0.0
        for _ in range(60):
            now += draw.uniform(0.0, 2.0)
            assert clock.captured(draw.uniform(-1e6, 1e12), now) <= now + 1e-3


def test_frames_that_arrive_out_of_order_keep_their_own_times() -> None:
    clock = FrameClock()
    clock.captured(0.0, 10.0)
    assert clock.captured(2000.0, 12.0) == pytest.approx(12.0, abs=0.001)
    assert clock.captured(1000.0, 12.5) == pytest.approx(11.0, abs=0.001)


def test_a_client_clock_that_jumps_ahead_is_followed_at_once() -> None:
    clock = FrameClock()
    clock.captured(1000.0, 1.0)
    assert clock.captured(3_600_000.0, 2.0) == pytest.approx(2.0)
    assert clock.captured(3_601_000.0, 3.0) == pytest.approx(3.0)


def test_a_client_clock_that_jumps_far_back_starts_anew() -> None:
    clock = FrameClock()
    clock.captured(3_600_000.0, 1.0)
    back = 3_600_000.0 - (JUMP_S + 10) * 1000
    assert clock.captured(back, 2.0) == pytest.approx(2.0)
    assert clock.captured(back + 1000, 3.0) == pytest.approx(3.0, abs=0.001)


def test_a_client_clock_that_runs_slow_does_not_make_frames_old() -> None:
    clock = FrameClock()
    for second in range(3600):
        captured = clock.captured(second * 1000 * (1 - DRIFT_S_PER_S), float(second))
        assert second - captured < 0.001
