import itertools

import numpy as np
import numpy.typing as npt

from assistant.media.sections import quietest, sections

RATE = 16_000


def noise(seconds: float) -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng(0).normal(0, 0.1, int(seconds * RATE))
    return drawn.astype(np.float32)


def test_put_together_the_sections_are_the_recording() -> None:
    recording = noise(23.7)
    blocks = np.split(recording, range(7_777, len(recording), 7_777))
    parts = list(sections(blocks, 5.0))
    assert np.array_equal(np.concatenate(parts), recording)
    assert all(3.75 * RATE <= len(part) <= 5 * RATE for part in parts[:-1])
    assert 0 < len(parts[-1]) <= 5 * RATE


def test_a_recording_that_fits_is_one_section() -> None:
    (part,) = sections([noise(5.0)], 5.0)
    assert len(part) == 5 * RATE
    assert list(sections([], 5.0)) == []


def test_sections_end_in_a_pause() -> None:
    recording = noise(9.0)
    recording[int(4.3 * RATE) : int(4.7 * RATE)] = 0
    first, _ = sections([recording], 5.0)
    assert abs(len(first) / RATE - 4.5) < 0.1


def test_a_stretch_too_short_for_a_pause_is_cut_at_its_end() -> None:
    assert quietest(noise(1.0), 0, 1000) == 1000


def test_what_is_left_after_a_cut_is_long_enough_to_be_heard() -> None:
    for seconds in (5.001, 5.01, 5.1):
        parts = list(sections([noise(seconds)], 5.0))
        assert all(len(part) > RATE // 10 for part in parts)


def test_an_endless_recording_is_read_as_far_as_it_is_wanted() -> None:
    endless = (noise(1.0) for _ in itertools.count())
    assert len(list(itertools.islice(sections(endless, 5.0), 3))) == 3
