"""
Recordings in files: any rate and number of channels to 16 kHz mono, in bounded memory.

A small file can hold days of silence, so nothing is decoded as a whole before its length
is known: sound is read in blocks and counted as it comes. No streams from clients.
"""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from assistant.errors import MediaError

SAMPLE_RATE_HZ = 16_000
BLOCK_S = 10.0
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 32


def read_audio(
    source: Path | str | bytes, max_s: float = math.inf
) -> npt.NDArray[np.float32]:
    """
    Read a recording, from a file or from a file's bytes, as float32 mono [N] at 16 kHz.

    Raises:
        MediaError: As ``read_blocks``.
    """
    return np.concatenate(list(read_blocks(source, max_s)))


def read_blocks(
    source: Path | str | bytes, max_s: float = math.inf
) -> Iterator[npt.NDArray[np.float32]]:
    """
    Yield a recording block by block: float32 mono [N] at 16 kHz, some ``BLOCK_S`` long.

    Reads what libsndfile reads (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, …). Channels
    are averaged. What a header says of the length is not believed.

    Raises:
        MediaError: ``audio_not_found``, ``unsupported_audio_type``, ``audio_too_long``
            (over ``max_s``), or ``audio_invalid`` (no samples, or some not numbers).
    """
    name = "the recording" if isinstance(source, bytes) else str(source)
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise MediaError("audio_not_found", f"{name}: no such file")
    try:
        with soundfile.SoundFile(
            io.BytesIO(source) if isinstance(source, bytes) else source
        ) as file:
            yield from _resampled(file, name, max_s)
    except soundfile.LibsndfileError as error:
        raise MediaError(
            "unsupported_audio_type", f"{name}: {error.error_string}"
        ) from error


def _resampled(
    file: soundfile.SoundFile, name: str, max_s: float
) -> Iterator[npt.NDArray[np.float32]]:
    rate_hz, channels = file.samplerate, file.channels
    if not 0 < rate_hz <= MAX_RATE_HZ or channels > MAX_CHANNELS:
        raise MediaError(
            "unsupported_audio_type",
            f"{name} has {channels} channels at {rate_hz} Hz, at most {MAX_CHANNELS} at "
            f"{MAX_RATE_HZ} Hz are read",
        )
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1)
    num_frames = 0
    while len(samples := file.read(int(BLOCK_S * rate_hz), "float32", always_2d=True)):
        num_frames += len(samples)
        if num_frames > max_s * rate_hz:
            # The header may say anything, or that nobody knows (FLAC made as a stream).
            raise MediaError(
                "audio_too_long",
                f"{name} lasts {num_frames / rate_hz:.1f} s or more, at most {max_s:g} s "
                "are taken",
            )
        mono = samples.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise MediaError(
                "audio_invalid", f"{name} contains samples that are not numbers"
            )
        yield mono if rate_hz == SAMPLE_RATE_HZ else resampler.resample_chunk(mono)
    if num_frames == 0:
        raise MediaError("audio_invalid", f"{name} contains no samples")
    if rate_hz != SAMPLE_RATE_HZ:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
