"""
Labelled recordings for measurements: read, mixed with noise, and judged by a detector.

A folder holds sound files; speech is labelled in ``NAME.tsv`` next to ``NAME.wav`` (or
``.flac``, …): a header, then ``start_s``, ``end_s`` and ``label`` in tabs, one stretch of
speech a line. Files without labels are recordings without speech.

What a detector makes of a sound does not change, so it may be kept in a folder: judging is
all that takes time in a measurement.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.config import VadConfig
from assistant.errors import MediaError
from assistant.media import vad
from assistant.media.audio import RATE_HZ, Samples
from assistant.media.recordings import read_audio
from assistant.turns.endpointing import WINDOW_SAMPLES
from assistant.turns.scoring import Judged, Span

SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".mp3")
LABEL = "speech"
PEAK = 0.99
"""Of a mixture that would clip; both its parts get quieter, their ratio stays."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file."""

    name: str
    samples: Samples
    """float32 mono [N] at 16 kHz."""
    labels: list[Span]
    """Where people speak, in seconds."""


def read_labelled(folder: Path) -> list[Recording]:
    """
    Read every recording of a folder that has labels.

    Raises:
        MediaError: There is none (``no_labels``), a label cannot be read
            (``labels_invalid``), or a recording (as ``read_audio``).
    """
    recordings = [
        Recording(file.stem, read_audio(file), read_labels(file.with_suffix(".tsv")))
        for file in _sounds(folder)
        if file.with_suffix(".tsv").is_file()
    ]
    if not recordings:
        reason = f"{folder}: no recording with a .tsv of the same name next to it"
        raise MediaError("no_labels", reason)
    return recordings


def read_noise(folder: Path) -> list[Recording]:
    """Read every recording of a folder that has no labels; raises MediaError."""
    return [
        Recording(file.stem, read_audio(file), [])
        for file in _sounds(folder)
        if not file.with_suffix(".tsv").is_file()
    ]


def read_labels(file: Path) -> list[Span]:
    """
    Read where people speak, in seconds, in order.

    Raises:
        MediaError: ``labels_invalid``, with the line.
    """
    spans = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()[1:], 2):
        start, end, *label = line.split("\t")[:3] if "\t" in line else ("", "")
        if label and label != [LABEL]:
            continue
        try:
            span = float(start), float(end)
        except ValueError:
            span = (0.0, 0.0)
        if not 0 <= span[0] < span[1]:
            reason = f"{file}, line {number}: {line!r} is not start, end and label"
            raise MediaError("labels_invalid", reason)
        spans.append(span)
    if not spans:
        raise MediaError("labels_invalid", f"{file}: no line is labelled {LABEL!r}")
    return sorted(spans)


def mixed(recording: Recording, noise: Recording, snr_db: float) -> Recording:
    """
    Add noise, over and over, at a ratio to the labelled speech.

    Both levels are root mean squares above ``RUMBLE_HZ``: of the samples in labels, and of
    the whole noise. Below it there is no speech, but what somebody's elbow does to a table
    would make a recording pass for 13 dB louder than the voice in it.
    """
    voice = above_rumble(recording.samples)
    spoken = np.concatenate(
        [
            voice[int(start * RATE_HZ) : int(end * RATE_HZ)]
            for start, end in recording.labels
        ]
    )
    repeated = np.resize(noise.samples, len(recording.samples))
    noise_rms = max(_rms(above_rumble(noise.samples)), 1e-9)
    gain = _rms(spoken) / noise_rms / 10 ** (snr_db / 20)
    samples = recording.samples + repeated * np.float32(gain)
    samples *= min(1.0, PEAK / max(float(np.abs(samples).max()), 1e-9))
    name = f"{recording.name} + {noise.name} at {snr_db:g} dB"
    return Recording(name, samples.astype(np.float32), recording.labels)


def above_rumble(samples: Samples) -> Samples:
    """Return sound [N] without what lies below ``RUMBLE_HZ``, and without delay."""
    spectrum = np.fft.rfft(samples)
    spectrum[: round(vad.RUMBLE_HZ * len(samples) / RATE_HZ)] = 0.0
    voice: Samples = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
    return voice


class Judge:
    """One kind of detector; a fresh one for every recording."""

    def __init__(self, config: VadConfig, kept: Path | None = None) -> None:
        """``kept`` is a folder for what was judged; it need not exist."""
        self._config = config
        self._kept = kept
        self.hangover_ms = vad.open_vad(config).hangover_ms
        # A detector that was changed judges anew.
        source = Path(vad.__file__).read_bytes()
        self._version = hashlib.sha256(repr(config).encode() + source)

    def judge(self, recordings: Sequence[Recording]) -> list[Judged]:
        """Judge recordings window by window; what is left of a last one is not judged."""
        return [
            Judged(recording.name, self._probabilities(recording.samples), recording.labels)
            for recording in recordings
        ]

    def _probabilities(self, samples: Samples) -> Sequence[float]:
        digest = self._version.copy()
        digest.update(samples.tobytes())
        file = self._kept / f"{digest.hexdigest()}.npy" if self._kept else None
        if file is not None and file.is_file():
            kept: list[float] = np.load(file).tolist()
            return kept
        detector = vad.open_vad(self._config)
        starts = range(0, len(samples) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES)
        found = np.array(
            [detector.receive(samples[at : at + WINDOW_SAMPLES]) for at in starts],
            np.float32,
        )
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, found)
        heard: list[float] = found.tolist()
        return heard


def _sounds(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise MediaError("audio_not_found", f"{folder}: no such folder")
    yield from (file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
