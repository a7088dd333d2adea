"""
Recordings as the model hears them: log-mel features with what is said and by whom.

One ``.npz`` file a collection, all features behind each other. Knows no world and no
network; reads the recordings that the training command is pointed at.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from assistant.errors import MediaError
from assistant.model.features import NUM_MELS, SAMPLE_RATE_HZ, log_mel

Float32Array = npt.NDArray[np.float32]
Float16Array = npt.NDArray[np.float16]
Int64Array = npt.NDArray[np.int64]

HELD_OUT_PERCENT = 8


@dataclass(frozen=True, slots=True)
class Clips:
    """Many recordings; ``features`` [sum of lengths, 80] are cut at ``starts`` [n + 1]."""

    features: Float16Array
    starts: Int64Array
    texts: tuple[str, ...]
    speakers: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def clip(self, index: int) -> Float16Array:
        """Return the log-mel features [n, 80] of one recording."""
        return self.features[self.starts[index] : self.starts[index + 1]]

    def chosen(self, indices: Iterable[int]) -> "Clips":
        """Return some of the recordings."""
        kept = list(indices)
        return collect((self.texts[i], self.speakers[i], self.clip(i)) for i in kept)

    def save(self, file: Path) -> None:
        """Write all of it; the file appears at once."""
        partial = file.with_suffix(".partial")
        with partial.open("wb") as out:
            np.savez(
                out,
                features=self.features,
                starts=self.starts,
                texts=np.array(self.texts),
                speakers=np.array(self.speakers),
            )
        partial.replace(file)


def load(file: Path) -> Clips:
    """Read what ``save`` wrote."""
    with np.load(file) as stored:
        return Clips(
            stored["features"],
            stored["starts"],
            tuple(stored["texts"].tolist()),
            tuple(stored["speakers"].tolist()),
        )


def collect(clips: Iterable[tuple[str, str, npt.NDArray[np.floating]]]) -> Clips:
    """Put (text, speaker, features [n, 80]) behind each other."""
    texts, speakers, lengths = [], [], [0]
    features = [np.zeros((0, NUM_MELS), np.float16)]
    for text, speaker, mel in clips:
        texts.append(text)
        speakers.append(speaker)
        lengths.append(len(mel))
        features.append(mel.astype(np.float16))
    return Clips(
        np.concatenate(features),
        np.cumsum(lengths, dtype=np.int64),
        tuple(texts),
        tuple(speakers),
    )


def joined(parts: Iterable[Clips]) -> Clips:
    """Return one collection of all."""
    return collect(
        (part.texts[i], part.speakers[i], part.clip(i))
        for part in parts
        for i in range(len(part))
    )


def read_sound(file: Path) -> Float32Array:
    """Read a recording as mono at 16 kHz."""
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, SAMPLE_RATE_HZ), np.float32)


def trimmed(samples: Float32Array, *, margin_s: float = 0.05) -> Float32Array:
    """Cut silence (40 dB below the loudest 10 ms) off both ends."""
    size = SAMPLE_RATE_HZ // 100
    power = np.square(samples[: len(samples) // size * size]).reshape(-1, size).mean(1)
    if not power.size:
        return samples
    loud = np.flatnonzero(power > power.max() * 1e-4)
    margin = round(margin_s * SAMPLE_RATE_HZ)
    return samples[
        max(loud[0] * size - margin, 0) : min((loud[-1] + 1) * size + margin, len(samples))
    ]


def is_held_out(speaker: str) -> bool:
    """Say whether a person is kept out of training: some in a hundred, by name."""
    digest = hashlib.sha256(f"demo:{speaker}".encode()).digest()
    return digest[0] * 100 // 256 < HELD_OUT_PERCENT


def read_commands(folder: Path) -> Clips:
    """
    Read a corpus of recorded words: ``index.tsv`` with file, text and speaker.

    Recordings that the index names and the folder lacks are left out.
    """
    return collect(_read_index(folder))


def _read_index(folder: Path) -> Iterator[tuple[str, str, Float32Array]]:
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in rows:
            file = folder / row["file"]
            if not file.is_file():
                continue
            try:
                mel = log_mel(read_sound(file))
            except MediaError:  # shorter than one frame
                continue
            # Names of sets go with the speaker: some sets are left out on request.
            yield row["text"].lower(), f"{row['file'].split('/')[0]}:{row['speaker']}", mel


def read_others(folder: Path, *, piece_s: float = 3.0, most: int = 12) -> Clips:
    """
    Read whatever sounds lie in a folder, cut into pieces; their text is empty.

    The speaker is the file's name, so that all of a file is held out or none.
    """
    size = round(piece_s * SAMPLE_RATE_HZ)

    def pieces() -> Iterator[tuple[str, str, Float32Array]]:
        for file in sorted(folder.iterdir()):
            if file.suffix not in (".wav", ".flac", ".ogg"):
                continue
            samples = read_sound(file)
            for start in range(0, min(len(samples), most * size), size):
                piece = samples[start : start + size]
                if len(piece) > SAMPLE_RATE_HZ // 2:
                    yield "", file.stem, log_mel(piece)

    return collect(pieces())
