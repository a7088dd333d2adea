"""Long recordings in windows: nothing is lost, read twice or changed by what follows."""

import itertools
from array import array

import pytest

from assistant.turns.windows import is_window, num_windows, split, windows_end
from assistant.wire import link

WINDOW = link.AUDIO_WINDOW_SAMPLES
OVERHANG = link.AUDIO_OVERHANG_SAMPLES


def recording(num_samples: int) -> bytes:
    """Return a recording whose every sample is its own number."""
    return array("I", range(num_samples)).tobytes()


def first(part: link.AudioPart) -> int:
    return int.from_bytes(part.samples[:4], "little")


def count(part: link.AudioPart) -> int:
    return len(part.samples) // 4


def test_a_short_recording_is_one_part_as_it_is() -> None:
    for samples in (b"", bytes(4 * 400), bytes(7), bytes(4 * WINDOW)):
        (part,) = split(samples)
        assert part == link.AudioPart(samples)
        assert part.samples is samples, "not copied"
        assert not is_window(part)


def test_a_window_is_complete_when_its_last_mel_frame_is() -> None:
    assert num_windows(WINDOW + OVERHANG - 1) == 0
    assert num_windows(WINDOW + OVERHANG) == 1
    assert num_windows(windows_end(2)) == 2
    assert num_windows(0) == windows_end(0) == 0


def test_every_part_begins_with_the_last_token_of_the_one_before() -> None:
    parts = split(recording(2 * WINDOW + 5000))
    assert [is_window(part) for part in parts] == [True, True, False]
    assert [part.is_continuation for part in parts] == [False, True, True]
    for number, (part, following) in enumerate(itertools.pairwise(parts), start=1):
        assert first(following) == number * WINDOW - link.AUDIO_CONTEXT_SAMPLES
        assert first(part) + count(part) == number * WINDOW + OVERHANG
    assert first(parts[-1]) + count(parts[-1]) == 2 * WINDOW + 5000


@pytest.mark.parametrize("num_more", [0, 1, link.AUDIO_HOP_SAMPLES - 1])
def test_what_is_too_short_for_a_mel_frame_is_no_part(num_more: int) -> None:
    (window,) = split(bytes(4 * (windows_end(1) + num_more)))
    assert is_window(window)
    assert len(split(bytes(4 * (windows_end(1) + link.AUDIO_HOP_SAMPLES)))) == 2


def test_windows_stay_the_same_whatever_is_said_afterwards() -> None:
    longer = recording(windows_end(2) + 777)
    early = split(longer[: 4 * windows_end(1)])
    assert split(longer)[:1] == early
