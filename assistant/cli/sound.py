"""Sound for the terminal client: a file or a microphone as PCM16 mono at 24 kHz."""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from assistant.errors import CommandError

RATE_HZ = 24_000
"""What the Realtime protocol calls ``audio/pcm``."""

CHUNK_SAMPLES = RATE_HZ // 25
CHUNK_S = CHUNK_SAMPLES / RATE_HZ
SILENCE = bytes(2 * CHUNK_SAMPLES)

_MICROPHONE_CHUNKS = 50
"""Two seconds of microphone may wait for the network; then new sound is dropped."""


def read_file(file: Path) -> list[bytes]:
    """
    Return the sound of ``file`` as chunks of ``CHUNK_SAMPLES`` int16 little-endian samples.

    Channels are averaged; the last chunk is filled up with silence.

    Raises:
        CommandError: It is no sound file, or holds no sound.
    """
    try:
        samples, rate = soundfile.read(str(file), dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise CommandError(f"cannot read {file} as sound: {error}") from error
    mono = np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE_HZ))
    if not mono.size or not np.isfinite(mono).all():
        raise CommandError(f"{file} holds no sound")
    pcm = np.round(np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes()
    pcm += bytes(-len(pcm) % len(SILENCE))
    return [pcm[start : start + len(SILENCE)] for start in range(0, len(pcm), len(SILENCE))]


async def microphone() -> AsyncGenerator[bytes, None]:
    """
    Yield chunks from the default microphone for ever.

    Cancelling it closes the microphone; chunks that were not taken are lost.

    Raises:
        CommandError: ``sounddevice`` is not installed, or there is no microphone.
    """
    try:
        sounddevice: Any = importlib.import_module("sounddevice")
    except (ImportError, OSError) as error:  # OSError: PortAudio itself is missing
        raise CommandError(
            "the microphone needs sounddevice (pip install sounddevice) and PortAudio; "
            "without them use --wav FILE or --text T"
        ) from error
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue(_MICROPHONE_CHUNKS)

    def put(chunk: bytes) -> None:
        if not chunks.full():
            chunks.put_nowait(chunk)

    def receive(data: Any, _num_samples: int, _time: object, _status: object) -> None:
        loop.call_soon_threadsafe(put, bytes(data))

    try:
        stream = sounddevice.RawInputStream(
            samplerate=RATE_HZ,
            blocksize=CHUNK_SAMPLES,
            channels=1,
            dtype="int16",
            callback=receive,
        )
    except sounddevice.PortAudioError as error:
        raise CommandError(f"cannot open the microphone: {error}") from error
    with stream:
        while True:
            yield await chunks.get()
