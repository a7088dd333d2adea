"""
Samples: what a client sent, to float32 mono at 16 kHz, and the ring that keeps them.

Knows sample formats, rates and positions; not sockets, speech or turns. Everything here
runs inline on the event loop and costs microseconds per packet.

Positions are exact: sample n of a decoder's output belongs to input time n / 16000 s,
for as long as the stream lasts. The polyphase filter answers 1.4 ms late (2.8 ms at
8 kHz; it must see half of its length ahead) but never shifts: what is missing comes with
the next packet, or with ``flush()``. Stock streaming resamplers work in FFT blocks and
hold back 21 ms at 24 kHz and 100 ms at 8 kHz, which would be added to every answer.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from assistant.errors import MediaError

Samples = npt.NDArray[np.float32]
"""float32 mono in [-1, 1], [n]; at 16 kHz unless said otherwise."""

AudioFormat = Literal["pcm16", "g711_ulaw", "g711_alaw"]

RATE_HZ = 16_000
INPUT_RATES_HZ = (8_000, 16_000, 24_000, 48_000)

_PASS = 0.9
"""Share of the narrower band that the filter leaves alone (7.2 kHz of 8 kHz)."""
_STOP_DB = 70.0
"""Attenuation of what would alias into the pass band."""
_FIRST_RING_SAMPLES = 16 * RATE_HZ


def _ulaw_table() -> Samples:
    """Return the 256 values of G.711 µ-law, scaled to [-1, 1] (ITU-T G.711, table 2)."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


def _alaw_table() -> Samples:
    """Return the 256 values of G.711 A-law, scaled to [-1, 1] (ITU-T G.711, table 1)."""
    code = np.arange(256) ^ 0x55
    segment = (code & 0x70) >> 4
    magnitude = ((code & 0x0F) << 4) + np.where(segment == 0, 0x008, 0x108)
    magnitude = magnitude << np.maximum(segment - 1, 0)
    values: Samples = (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(
        np.float32
    )
    return values


_G711 = {"g711_ulaw": _ulaw_table(), "g711_alaw": _alaw_table()}


class Resampler:
    """
    Convert a stream to 16 kHz with a polyphase windowed-sinc filter.

    The filter is applied as one matrix product per packet: ``_step`` input samples make
    ``_phases`` output samples, each of them the product of the same stretch of input with
    its own column of ``_taps``.
    """

    def __init__(self, rate_hz: int) -> None:
        assert rate_hz in INPUT_RATES_HZ, rate_hz
        divisor = np.gcd(rate_hz, RATE_HZ)
        self._rate_hz = rate_hz
        self._phases = int(RATE_HZ // divisor)
        self._step = int(rate_hz // divisor)
        self._taps, self._reach = _polyphase(rate_hz, self._phases, self._step)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream at position 0."""
        # Silence before the stream, so that output 0 is centred on input 0.
        self._pending = np.zeros(self._reach, np.float32)
        self._num_received = 0
        self._num_returned = 0

    def receive(self, samples: Samples) -> Samples:
        """Take input samples, return the output samples that they complete."""
        if self._phases == self._step:
            return samples
        self._num_received += len(samples)
        pending = np.concatenate((self._pending, samples))
        num_taps, step = len(self._taps), self._step
        num_groups = max(0, (len(pending) - num_taps) // step + 1)
        self._pending = pending[num_groups * step :].copy()
        if num_groups == 0:
            return np.zeros(0, np.float32)
        size = pending.itemsize
        windows: Samples = np.ndarray(
            (num_groups, num_taps), np.float32, pending, strides=(step * size, size)
        )
        # BLAS cannot take overlapping rows; the copy is a tenth of the product's time.
        output: Samples = (np.ascontiguousarray(windows) @ self._taps).reshape(-1)
        self._num_returned += len(output)
        return output

    def flush(self) -> Samples:
        """Return the samples up to the end of the input and begin a new stream."""
        num_total = -(-self._num_received * RATE_HZ // self._rate_hz)
        num_missing = num_total - self._num_returned
        tail = self.receive(np.zeros(len(self._taps) + self._step, np.float32))
        self.reset()
        return tail[:num_missing] if self._phases != self._step else tail[:0]


def _polyphase(rate_hz: int, phases: int, step: int) -> tuple[Samples, int]:
    """
    Design the filter bank.

    Returns:
        [taps, phases] float32, each column with a sum of 1, and how many input samples
        the filter reaches to either side of its centre.
    """
    nyquist = min(rate_hz, RATE_HZ) / 2 / rate_hz  # cycles per input sample
    width = 2 * (1 - _PASS) * nyquist  # the transition is centred on the Nyquist rate
    # Kaiser's formulas: Oppenheim & Schafer, Discrete-Time Signal Processing, 7.5.3.
    reach = int(np.ceil((_STOP_DB - 7.95) / (2.285 * 2 * np.pi * width) / 2))
    beta = 0.1102 * (_STOP_DB - 8.7)
    num_taps = 2 * reach + step
    at = np.arange(num_taps)[:, None] - reach - np.arange(phases) * step / phases
    inside = np.clip(1 - (at / (reach + 1)) ** 2, 0, None)
    taps = np.sinc(2 * nyquist * at) * np.i0(beta * np.sqrt(inside)) * (inside > 0)
    return (taps / taps.sum(axis=0)).astype(np.float32), reach


class InputDecoder:
    """Decode one client's audio: sample format and rate, as a stream."""

    def __init__(self, format: AudioFormat, rate_hz: int) -> None:
        self._table = _G711.get(format)
        self._resampler = Resampler(rate_hz)

    def check(self, data: bytes) -> None:
        """
        Say whether ``receive`` would take these bytes, without consuming any.

        Raises:
            MediaError: ``invalid_audio_length``, PCM16 with half a sample.
        """
        if self._table is None and len(data) % 2:
            raise MediaError(
                "invalid_audio_length",
                f"audio of {len(data)} bytes, PCM16 needs an even number",
            )

    def receive(self, data: bytes) -> Samples:
        """
        Decode the next bytes of the stream.

        Returns:
            float32 mono in [-1, 1] at 16 kHz, [n]; n varies by packet, see the module.

        Raises:
            MediaError: ``invalid_audio_length``, PCM16 with half a sample; nothing of it
                was consumed.
        """
        self.check(data)
        if self._table is not None:
            samples = self._table[np.frombuffer(data, np.uint8)]
        else:
            samples = np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 32768)
        return self._resampler.receive(samples)

    def flush(self) -> Samples:
        """Return what the filter still holds and begin a new stream."""
        return self._resampler.flush()

    def reset(self) -> None:
        """Drop what the filter still holds and begin a new stream."""
        self._resampler.reset()


class AudioRing:
    """
    The newest audio of a session, addressed by absolute sample index at 16 kHz.

    Bounded: beyond ``capacity`` samples the oldest are dropped and counted. Memory grows
    with what is kept, so an idle session costs 1 MB and not its bound.
    """

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self.capacity = capacity
        self.num_dropped = 0
        self.start = 0
        """Index of the oldest sample kept."""
        self.end = 0
        """Index one past the newest sample."""
        self._kept = np.zeros(min(capacity, _FIRST_RING_SAMPLES), np.float32)

    def append(self, samples: Samples) -> None:
        """Add float32 samples at ``end``."""
        end = self.end + len(samples)
        start = max(self.start, end - self.capacity)
        self._grow(min(self.capacity, end - start))
        self.num_dropped += start - self.start
        self.start = start
        first = max(start, self.end)
        self._write(first, samples[first - self.end :])
        self.end = end

    def read(self, start: int, stop: int) -> Samples:
        """Return a copy of samples [start, stop), which must all be kept."""
        assert self.start <= start <= stop <= self.end, (start, stop, self.start, self.end)
        size = len(self._kept)
        place = start % size
        head = self._kept[place : place + stop - start]
        if len(head) == stop - start:
            return head.copy()
        return np.concatenate((head, self._kept[: stop - start - len(head)]))

    def _write(self, at: int, samples: Samples) -> None:
        place = at % len(self._kept)
        num_head = min(len(samples), len(self._kept) - place)
        self._kept[place : place + num_head] = samples[:num_head]
        self._kept[: len(samples) - num_head] = samples[num_head:]

    def _grow(self, needed: int) -> None:
        size = len(self._kept)
        if needed <= size:
            return
        while size < needed:
            size = min(2 * size, self.capacity)
        old = self.read(self.start, self.end)
        self._kept = np.zeros(size, np.float32)
        self._write(self.start, old)
