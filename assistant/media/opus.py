"""
Opus to samples, with what can be saved of packets that never came.

libav's decoders know neither Opus's in-band FEC nor its concealment, and one empty packet
makes them end the stream. libopus knows both and never ends, and the wheel of PyAV brings
it along; so it is called directly. Where neither that nor a system's libopus is found,
libav decodes, what is lost becomes silence, and a line in the log says so.

libopus decodes straight to 16 kHz (RFC 6716, 4.5: the bands above are not computed), so
nothing is resampled.
"""

import ctypes
import importlib.util
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from assistant.media.audio import RATE_HZ, Resampler
from assistant.media.opus_packet import CLOCK_HZ, MAX_TICKS

Pcm = npt.NDArray[np.int16]
"""int16 mono at 16 kHz, [n]."""

log = logging.getLogger(__name__)

TICKS_PER_SAMPLE = CLOCK_HZ // RATE_HZ
_MAX_SAMPLES = MAX_TICKS // TICKS_PER_SAMPLE
_SYSTEM_LIBRARIES = ("libopus.so.0", "libopus.0.dylib", "opus.dll")
STEP_TICKS = 120
"""Concealment comes in multiples of 2.5 ms."""


class OpusDecoder(Protocol):
    """One stream's decoder. Whatever it is given, it goes on with the next packet."""

    recovers: bool
    """Whether lost packets can be had from the ones after them."""

    def decode(self, packet: bytes) -> Pcm | None:
        """Return a packet's samples, or None if it cannot be decoded."""

    def recover(self, following: bytes, ticks: int) -> Pcm:
        """Return ``ticks`` of lost sound, from the packet behind it as far as it tells."""

    def conceal(self, ticks: int) -> Pcm:
        """Return ``ticks`` of a guess at lost sound, which fades to silence."""

    def reset(self) -> None:
        """Begin a new stream."""


def open_decoder() -> OpusDecoder:
    """Return the best decoder that this machine has."""
    library = _library()
    return LibavOpus() if library is None else LibOpus(library)


class LibOpus:
    """libopus, called directly."""

    recovers = True

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        # Its memory is ours, so there is nothing to destroy.
        self._state = ctypes.create_string_buffer(library.opus_decoder_get_size(1))
        self._samples = np.zeros(_MAX_SAMPLES, np.int16)
        self._address = self._samples.ctypes.data
        self.reset()

    def reset(self) -> None:
        failed = self._library.opus_decoder_init(self._state, RATE_HZ, 1)
        assert failed == 0, failed

    def decode(self, packet: bytes) -> Pcm | None:
        if not packet:  # would mean a lost one
            return None
        return self._run(packet, _MAX_SAMPLES, recover=False)

    def recover(self, following: bytes, ticks: int) -> Pcm:
        if not following:
            return self.conceal(ticks)
        samples = self._run(following, ticks // TICKS_PER_SAMPLE, recover=True)
        return self.conceal(ticks) if samples is None else samples

    def conceal(self, ticks: int) -> Pcm:
        samples = self._run(None, ticks // TICKS_PER_SAMPLE, recover=False)
        return silence(ticks) if samples is None else samples

    def _run(self, packet: bytes | None, num_samples: int, *, recover: bool) -> Pcm | None:
        length = 0 if packet is None else len(packet)
        num_decoded: int = self._library.opus_decode(
            self._state, packet, length, self._address, num_samples, recover
        )
        return self._samples[:num_decoded].copy() if num_decoded > 0 else None


class LibavOpus:
    """libav's decoder; cannot recover and conceals with silence."""

    recovers = False

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._resampler = Resampler(CLOCK_HZ)
        self._open()

    def decode(self, packet: bytes) -> Pcm | None:
        if not packet:  # would end the stream
            return None
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError:
            self._open()
            return None
        if not frames:
            return None
        # [channels, n] float32
        sound = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
        return self._resampled(sound.mean(axis=0, dtype=np.float32))

    def recover(self, following: bytes, ticks: int) -> Pcm:
        return self.conceal(ticks)

    def conceal(self, ticks: int) -> Pcm:
        return self._resampled(np.zeros(ticks, np.float32))

    def _open(self) -> None:
        context = av.CodecContext.create("opus", "r")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = CLOCK_HZ
        self._context = context

    def _resampled(self, sound: npt.NDArray[np.float32]) -> Pcm:
        samples = self._resampler.receive(sound)
        return np.clip(samples * 32768, -32768, 32767).astype(np.int16)


def silence(ticks: int) -> Pcm:
    """Return ``ticks`` of silence."""
    return np.zeros(ticks // TICKS_PER_SAMPLE, np.int16)


@cache
def _library() -> ctypes.CDLL | None:
    """Return libopus, or None; looked for once."""
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate)
            _declare(library)
        except (OSError, AttributeError):
            continue
        return library
    log.warning("libopus was not found: lost sound becomes silence")
    return None


def _candidates() -> Iterator[str]:
    """Name the places where it may be: first inside the wheel, as auditwheel puts it."""
    found = importlib.util.find_spec("av")
    if found is not None and found.origin is not None:
        package = Path(found.origin).parent
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            yield from (str(file) for file in sorted(folder.glob("*opus*")))
    yield from _SYSTEM_LIBRARIES


def _declare(library: ctypes.CDLL) -> None:
    """Say what the functions take (opus.h)."""
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    library.opus_decoder_get_size.argtypes = [integer]
    library.opus_decoder_init.argtypes = [pointer, ctypes.c_int32, integer]
    library.opus_decode.argtypes = [
        *(pointer, ctypes.c_char_p, ctypes.c_int32),
        *(pointer, integer, integer),
    ]
