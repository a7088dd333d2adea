"""
Labelled recordings, and how far the boundaries we find lie from their labels.

Labels within one setting's pause of each other make one labelled utterance. Two things
the labels cannot settle are taken into account, and nothing else:

* A pause within two windows (64 ms) of the silence setting may go either way; the labels
  themselves are no more exact than that.
* ``UNLABELLED`` lists speech that is audible and in the published transcript but that the
  published segments left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from assistant.config import EndpointingConfig
from assistant.media.vad import Vad
from assistant.turns.endpointing import (
    WINDOW_SAMPLES,
    Endpointer,
    Endpointing,
    HardEnd,
    SpeechStarted,
)

RATE_HZ = 16_000
UNDECIDED_MS = 64
FOLDER = Path(__file__).parent.parent / "data" / "vad"

# "… lower in intensity uh we're just saying …": the "uh" has no word in the TextGrid.
UNLABELLED = {"mfa_acoustic_corpus": [(14.53, 14.87)]}

Span = tuple[float, float]
"""Start and end in seconds."""


@dataclass(frozen=True)
class Recording:
    """One recording and where people speak in it."""

    name: str
    samples: npt.NDArray[np.float32]
    """float32 mono in [-1, 1] at 16 kHz."""
    labels: list[Span]


def read_recordings(folder: Path = FOLDER) -> list[Recording]:
    """Read every recording of a folder that has a label file next to it."""
    recordings = []
    for file in sorted(folder.iterdir()):
        label_file = file.with_suffix(".tsv")
        if file.suffix not in (".flac", ".wav") or not label_file.exists():
            continue
        samples, rate_hz = soundfile.read(file, dtype="float32")
        assert rate_hz == RATE_HZ, (file, rate_hz)
        rows = [line.split("\t") for line in label_file.read_text().splitlines()[1:]]
        labels = [(float(start), float(end)) for start, end, *_ in rows]
        labels += UNLABELLED.get(file.stem, [])
        recordings.append(Recording(file.stem, samples, sorted(labels)))
    return recordings


def settings_with(silence_ms: int, hangover_ms: int) -> Endpointing:
    """Return the default settings with another silence."""
    defaults = Endpointing.from_config(EndpointingConfig(), hangover_ms)
    return replace(defaults, silence_duration_ms=silence_ms)


def probabilities(samples: npt.NDArray[np.float32], vad: Vad) -> list[float]:
    """Judge a recording window by window; what is left of the last is not judged."""
    starts = range(0, len(samples) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES)
    return [vad.receive(samples[start : start + WINDOW_SAMPLES]) for start in starts]


def turns(probabilities: Iterable[float], settings: Endpointing) -> list[Span]:
    """Find (onset, end) of every utterance; silence follows the recording."""
    endpointer = Endpointer(settings)
    num_silent = settings.silence_duration_ms // 32 + 10
    found, onset = [], 0
    for probability in [*probabilities, *[0.0] * num_silent]:
        for boundary in endpointer.receive(probability):
            match boundary:
                case SpeechStarted():
                    onset = boundary.onset
                case HardEnd():
                    found.append((onset / RATE_HZ, boundary.at / RATE_HZ))
    return found


def utterances(labels: list[Span], silence_ms: int, found: list[Span]) -> list[Span]:
    """
    Merge labels over pauses shorter than the setting.

    An undecided pause counts as a pause if a found utterance ends in it.
    """
    merged = [labels[0]]
    for start, end in labels[1:]:
        last = merged[-1]
        excess_ms = (start - last[1]) * 1000 - silence_ms
        is_cut = any(last[1] - 0.15 <= turn_end <= start for _, turn_end in found)
        if excess_ms > UNDECIDED_MS or (abs(excess_ms) <= UNDECIDED_MS and is_cut):
            merged.append((start, end))
        else:
            merged[-1] = (last[0], end)
    return merged
