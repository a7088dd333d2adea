import numpy as np
import pytest

from assistant.media.audio import RATE_HZ, Samples
from assistant.media.sound_gate import OPEN_WINDOWS, QUIETEST_RMS, RISE, SoundGate
from assistant.turns.endpointing import WINDOW_SAMPLES
from tests.media.labelled import read_recordings

SILENCE = np.zeros(WINDOW_SAMPLES, np.float32)


def hum(rms: float) -> Samples:
    """Return a window of a hum far below any voice: only its level can be told."""
    at = np.arange(WINDOW_SAMPLES) / RATE_HZ
    wave: Samples = np.sin(2 * np.pi * 62.5 * at).astype(np.float32)
    return wave * np.float32(rms * 2**0.5)


def opened(gate: SoundGate, window: Samples, count: int) -> list[bool]:
    return [gate.opens(window) for _ in range(count)]


def settled(window: Samples) -> SoundGate:
    """Return a gate that has heard nothing else for a while."""
    gate = SoundGate()
    opened(gate, window, 3 * OPEN_WINDOWS)
    return gate


def test_silence_is_let_through_at_first_and_then_no_more() -> None:
    seen = opened(SoundGate(), SILENCE, 2 * OPEN_WINDOWS)
    assert seen == sorted(seen, reverse=True)
    assert seen[0]
    assert not seen[-1]


def test_what_is_well_above_the_floor_opens_it_for_a_while() -> None:
    gate = settled(hum(0.001))
    assert not gate.opens(hum(0.001))
    assert gate.opens(hum(0.001 * RISE * 1.2))
    seen = opened(gate, hum(0.001), 2 * OPEN_WINDOWS)
    assert seen[: OPEN_WINDOWS - 1] == [True] * (OPEN_WINDOWS - 1)
    assert not seen[-1]


def test_what_is_alert_keeps_it_open() -> None:
    gate = settled(SILENCE)
    gate.keep_open()
    assert gate.opens(SILENCE)


def test_the_floor_falls_at_once_and_rises_by_and_by() -> None:
    gate = settled(hum(0.01))
    assert gate.floor == pytest.approx(0.01, rel=0.01)
    opened(gate, hum(0.001), 10)
    assert gate.floor == pytest.approx(0.001, rel=0.3)
    opened(gate, hum(0.01), 31)
    assert gate.floor < 0.0015
    opened(gate, hum(0.01), 900)
    assert gate.floor == pytest.approx(0.01, rel=0.01)


def test_digital_silence_is_no_floor_to_rise_above() -> None:
    gate = settled(SILENCE)
    assert gate.floor == QUIETEST_RMS
    assert not gate.opens(hum(QUIETEST_RMS))


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_no_labelled_speech_finds_it_closed_for_long(gain: float) -> None:
    """The windows before an opening are judged after all: three may be missed."""
    for recording in read_recordings():
        gate = SoundGate()
        samples = recording.samples * np.float32(gain)
        starts = range(0, len(samples) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES)
        seen = [gate.opens(samples[at : at + WINDOW_SAMPLES]) for at in starts]
        for start_s, end_s in recording.labels:
            first, last = (int(at * RATE_HZ) // WINDOW_SAMPLES for at in (start_s, end_s))
            assert all(seen[first + 3 : last]), (recording.name, start_s)
