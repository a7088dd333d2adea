"""Recordings in files: any rate and number of channels to 16 kHz mono. No streams."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from assistant.errors import MediaError

SAMPLE_RATE_HZ = 16_000


def read_audio(source: Path | str | bytes) -> npt.NDArray[np.float32]:
    """
    Read a recording, from a file or from a file's bytes, as float32 mono [N] at 16 kHz.

    Reads what libsndfile reads (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, …). Channels
    are averaged.

    Raises:
        MediaError: ``audio_not_found``, ``unsupported_audio_type`` or ``audio_invalid``
            (no samples, or samples that are not numbers).
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    name = "the recording" if isinstance(source, bytes) else str(source)
    if isinstance(file, Path | str) and not Path(file).is_file():
        raise MediaError("audio_not_found", f"{name}: no such file")
    try:
        samples, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(
            "unsupported_audio_type", f"{name}: {error.error_string}"
        ) from error
    if len(samples) == 0:
        raise MediaError("audio_invalid", f"{name} contains no samples")
    mono = samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise MediaError("audio_invalid", f"{name} contains samples that are not numbers")
    resampled = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    return np.ascontiguousarray(resampled, dtype=np.float32)
