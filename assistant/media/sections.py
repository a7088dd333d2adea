"""
Long recordings in sections that the model can take one at a time, cut where it is quiet.

Works on blocks as they are read, so that memory is bounded by one section, however long
the recording.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from assistant.media.recordings import SAMPLE_RATE_HZ

Samples = npt.NDArray[np.float32]
"""float32 mono in [-1, 1], [n] at 16 kHz."""

_HOP_SAMPLES = SAMPLE_RATE_HZ // 50
_PAUSE_HOPS = 15
"""A pause is judged over 300 ms: shorter gaps lie inside of words."""


def sections(blocks: Iterable[Samples], longest_s: float) -> Iterator[Samples]:
    """
    Yield the recording in sections of at most ``longest_s``.

    A section that is not the last ends in the quietest 300 ms of its last quarter. Put
    together the sections are the recording.
    """
    longest = int(longest_s * SAMPLE_RATE_HZ)
    pending = np.zeros(0, np.float32)
    for block in blocks:
        pending = np.concatenate((pending, block))
        while len(pending) > longest:
            cut = quietest(pending, longest * 3 // 4, longest)
            yield pending[:cut]
            pending = pending[cut:]
    if len(pending):
        yield pending


def quietest(samples: Samples, start: int, stop: int) -> int:
    """Return the middle of the quietest 300 ms of ``samples[start:stop]``."""
    num_hops = (stop - start) // _HOP_SAMPLES
    if num_hops < _PAUSE_HOPS:
        return stop
    hops = samples[start : start + num_hops * _HOP_SAMPLES].reshape(num_hops, -1)
    power = np.square(hops, dtype=np.float64).mean(axis=1)
    sums = np.convolve(power, np.ones(_PAUSE_HOPS), mode="valid")
    return start + (int(sums.argmin()) + _PAUSE_HOPS // 2) * _HOP_SAMPLES
