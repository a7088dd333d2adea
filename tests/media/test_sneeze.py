import numpy as np
import numpy.typing as npt
import pytest

from assistant.media.audio import RATE_HZ, Samples
from assistant.media.sneeze import (
    CALM_WINDOWS,
    DOUBT,
    HISS_WINDOWS,
    HISSING,
    VOICED,
    VOICED_WINDOWS,
    SneezeGuard,
    hiss,
    periodicity,
)
from assistant.turns.endpointing import WINDOW_SAMPLES

PROBABLE = 0.9


def vowel(count: int) -> list[Samples]:
    """Return windows of a buzz of 120 Hz that gets weaker towards the top."""
    at = np.arange(count * WINDOW_SAMPLES) / RATE_HZ
    tones = [np.sin(2 * np.pi * 120 * n * at) / n**1.5 for n in range(1, 20)]
    return windows(0.1 * np.sum(tones, axis=0))


def breath(count: int) -> list[Samples]:
    """Return windows of white noise."""
    return windows(np.random.default_rng(3).normal(0, 0.1, count * WINDOW_SAMPLES))


def windows(samples: npt.NDArray[np.float64]) -> list[Samples]:
    return list(samples.astype(np.float32).reshape(-1, WINDOW_SAMPLES))


def weighed(
    guard: SneezeGuard, sound: list[Samples], *, is_loud: bool = True
) -> list[float]:
    return [guard.weigh(window, PROBABLE, is_loud=is_loud) for window in sound]


def test_noise_hisses_and_a_vowel_does_not() -> None:
    assert min(hiss(window) for window in breath(10)) > 2 * HISSING
    assert max(hiss(window) for window in vowel(10)) < HISSING / 2
    assert hiss(np.zeros(WINDOW_SAMPLES, np.float32)) == 0.0


def test_a_vowel_has_a_pitch_and_noise_has_none() -> None:
    assert periodicity(np.concatenate(vowel(2))) > VOICED
    assert periodicity(np.concatenate(breath(2))) < VOICED
    assert abs(periodicity(np.zeros(2 * WINDOW_SAMPLES, np.float32))) < VOICED


def test_a_long_hiss_and_a_short_cry_are_doubted() -> None:
    guard = SneezeGuard()
    weighed(guard, breath(HISS_WINDOWS - 1))
    found = weighed(guard, [*breath(3), *vowel(VOICED_WINDOWS - 1)])
    assert found == [DOUBT * PROBABLE] * len(found)


def test_a_voice_that_goes_on_after_a_long_hiss_is_believed() -> None:
    guard = SneezeGuard()
    weighed(guard, breath(HISS_WINDOWS))
    # The first window is half hiss: its pitch does not show.
    assert weighed(guard, vowel(VOICED_WINDOWS + 2))[-1] == PROBABLE


def test_a_consonant_at_the_beginning_of_a_word_is_not_doubted() -> None:
    sound = [*breath(HISS_WINDOWS - 1), *vowel(3)]
    assert weighed(SneezeGuard(), sound) == [PROBABLE] * len(sound)


def test_who_is_speaking_may_hiss_as_long_as_they_like() -> None:
    sound = [*vowel(2), *breath(3 * HISS_WINDOWS), *vowel(1)]
    assert weighed(SneezeGuard(), sound) == [PROBABLE] * len(sound)


def test_a_hiss_that_is_the_room_is_nobodys() -> None:
    sound = breath(3 * HISS_WINDOWS)
    assert weighed(SneezeGuard(), sound, is_loud=False) == [PROBABLE] * len(sound)


def test_quiet_ends_a_sneeze() -> None:
    guard = SneezeGuard()
    weighed(guard, breath(HISS_WINDOWS))
    weighed(guard, breath(CALM_WINDOWS), is_loud=False)
    assert weighed(guard, vowel(2)) == [PROBABLE] * 2


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_without_a_hiss_nothing_is_changed(probability: float) -> None:
    guard = SneezeGuard()
    for window in vowel(30):
        assert guard.weigh(window, probability, is_loud=True) == probability
