"""
Whether what sets in is a sneeze and no word: a long hiss, and hardly a voice after it.

Silero takes the cry that ends a sneeze for speech. Words begin with a hiss, too, but no
consonant lasts as long as the breath of a sneeze, and a vowel follows it. So whoever sets
in with ``HISS_WINDOWS`` of hissing has to show ``VOICED_WINDOWS`` with a pitch before it
counts. Who is speaking already may hiss as long as they like.
"""

import numpy as np

from assistant.media.audio import RATE_HZ, Samples

HISS_WINDOWS = 9
"""Of 32 ms: 288 ms. An S at the beginning of a word takes 100 to 200 ms."""
VOICED_WINDOWS = 4
"""Of the sneezes at hand, one has a pitch for three windows, one for a single one."""
CALM_WINDOWS = 10
"""Without a voice: then the next sound sets in, and is not part of what was said."""
HISSING = 0.7
"""Energy of the difference of neighbouring samples to that of the samples, from which on a
window hisses: 0.59 is a tone of 2 kHz, 2 is white noise; vowels stay below 0.4."""
VOICED = 0.6
"""Autocorrelation at the best lag, from which on a window has a pitch."""
SHORTEST_LAG, LONGEST_LAG = RATE_HZ // 400, RATE_HZ // 70
FORMANT_HZ = 1500
"""Up to where pitch is looked for; hiss lies above."""
SPEECH = 0.5
"""A probability from which on a window is part of what is said."""
DOUBT = 0.2
"""What is left of a probability in a sneeze: too little to open an utterance."""


class SneezeGuard:
    """What one talker's latest windows sounded like."""

    def __init__(self) -> None:
        self._before: Samples | None = None
        self._num_calm = CALM_WINDOWS  # windows since a voice was heard
        self._num_hissing = 0
        self._num_voiced = 0
        self._num_quiet = 0

    def weigh(self, window: Samples, probability: float, *, is_loud: bool) -> float:
        """
        Return the probability of speech, or what is left of it in a sneeze.

        Args:
            window: float32 [512] at 16 kHz, without rumble.
            probability: of speech, as the network sees it.
            is_loud: it is more than the noise of the room.
        """
        before = window if self._before is None else self._before
        self._before = window
        hisses = is_loud and hiss(window) >= HISSING
        if self._is_sneeze:
            self._clear_up(before, window, is_loud=is_loud, hisses=hisses)
        elif hisses:
            # What hisses after a voice belongs to it, however long it lasts.
            self._num_hissing += self._num_calm >= CALM_WINDOWS
        else:
            self._num_hissing = 0
            self._num_calm = 0 if probability >= SPEECH else self._num_calm + 1
        return DOUBT * probability if self._is_sneeze else probability

    @property
    def _is_sneeze(self) -> bool:
        return self._num_hissing >= HISS_WINDOWS

    def _clear_up(
        self, before: Samples, window: Samples, *, is_loud: bool, hisses: bool
    ) -> None:
        """A sneeze ends in a voice that goes on, or in quiet."""
        self._num_quiet = 0 if is_loud else self._num_quiet + 1
        if is_loud and not hisses:
            self._num_voiced += periodicity(np.concatenate([before, window])) >= VOICED
        if self._num_voiced >= VOICED_WINDOWS or self._num_quiet >= CALM_WINDOWS:
            self._num_hissing = self._num_voiced = self._num_quiet = 0
            self._num_calm = CALM_WINDOWS


def hiss(window: Samples) -> float:
    """Return how much of the energy lies high up: 0 for a hum, 2 for white noise."""
    energy = float(np.dot(window, window))
    steps = np.diff(window)
    return float(np.dot(steps, steps)) / energy if energy else 0.0


def periodicity(samples: Samples) -> float:
    """Return the autocorrelation at a voice's best lag, in [-1, 1]."""
    size = 2 * len(samples)
    power = np.abs(np.fft.rfft(samples - samples.mean(), size)) ** 2
    power[FORMANT_HZ * size // RATE_HZ :] = 0.0
    correlation = np.fft.irfft(power)[: LONGEST_LAG + 1]
    lags = np.arange(SHORTEST_LAG, LONGEST_LAG + 1)
    overlap = 1 - lags / len(samples)
    found = correlation[SHORTEST_LAG:] / overlap
    return float(found.max() / max(correlation[0], 1e-12))
