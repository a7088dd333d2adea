"""
Measurements of the engine itself: orders in, the times of its tokens out.

Everything runs as in service, through ``Engine`` with its scheduler, without the sockets.
Knows backends; knows no command line and no transformers.
"""

import io
import statistics
import time
from dataclasses import dataclass

import numpy as np
import PIL.Image

from assistant.config import EngineConfig
from assistant.engine.backend import Backend
from assistant.engine.core import Engine
from assistant.wire import link

RATE_HZ = 16_000
ADAPTER: link.Adapter = "none"
TURN_TOKENS = 8
"""Of each reply in the long conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one measured turn reads and writes."""

    image: bytes
    """A PNG that fills exactly one crop."""
    samples: bytes
    ids: list[int]
    num_output: int

    @property
    def before(self) -> list[link.Part]:
        """What is known before the user has finished speaking."""
        return [link.ControlPart("user"), link.ImagePart(self.image, max_crops=1)]

    @property
    def tail(self) -> list[link.Part]:
        """What the end of the turn adds."""
        return [
            link.AudioPart(self.samples),
            link.TokensPart(self.ids),
            link.ControlPart("end"),
            link.ControlPart("assistant"),
        ]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds until the first token, and between two tokens after it."""

    first_s: float
    per_token_s: float


def make_load(image_size: int, num_output: int, *, audio_s: float = 3.0) -> Load:
    """Return a picture, some seconds of noise and 64 tokens of text."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (image_size, image_size, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    samples = 0.1 * generator.standard_normal(int(audio_s * RATE_HZ))
    return Load(
        image=file.getvalue(),
        samples=samples.astype("<f4").tobytes(),
        ids=generator.integers(0, 500, 64).tolist(),
        num_output=num_output,
    )


class Stand:
    """An engine on a test stand: gives it orders and notes when its tokens come."""

    def __init__(self, backend: Backend, config: EngineConfig) -> None:
        self._engine = Engine(backend, config, self._receive)
        self._times: dict[int, list[float]] = {}
        self._errors: list[link.Failed] = []
        self._num_sequences = 0

    def _receive(self, connection: int, report: link.Report) -> None:
        if isinstance(report, link.Token):
            self._times[report.sequence].append(time.perf_counter())
        elif isinstance(report, link.Failed):
            self._errors.append(report)

    def order(self, *orders: link.Order) -> None:
        """Give orders; nothing is computed yet."""
        for order in orders:
            self._engine.receive_order(0, order, 0.0)

    def run(self) -> None:
        """Compute until nothing is left."""
        while self._engine.step(0.0):
            pass
        assert not self._errors, self._errors

    def open(self, parts: list[link.Part]) -> int:
        """Open a sequence and give it its first parts; return its number."""
        self._num_sequences += 1
        number = self._num_sequences
        self._times[number] = []
        self.order(link.Open(number, ADAPTER), link.Append(number, parts))
        return number

    def generate(self, number: int, generation: int, num_tokens: int) -> None:
        """Order a reply of so many tokens."""
        self._times[number].clear()
        sampling = link.Sampling(max_tokens=num_tokens)
        self.order(link.Generate(number, generation, sampling))

    def timing(self, number: int, begin: float) -> Timing:
        """Return how the latest reply of a sequence came, counted from ``begin``."""
        times = self._times[number]
        gaps = max(len(times) - 1, 1)
        return Timing(times[0] - begin, (times[-1] - times[0]) / gaps)

    def close(self, *numbers: int) -> None:
        """Close sequences."""
        self.order(*(link.Close(number) for number in numbers))


def cold_turn(stand: Stand, load: Load) -> Timing:
    """Give everything at once."""
    begin = time.perf_counter()
    number = stand.open([*load.before, *load.tail])
    stand.generate(number, 1, load.num_output)
    stand.run()
    timing = stand.timing(number, begin)
    stand.close(number)
    return timing


def early_turn(stand: Stand, load: Load) -> Timing:
    """Let the picture be read while the user still speaks; count from the end of that."""
    number = stand.open(load.before)
    stand.run()
    begin = time.perf_counter()
    stand.order(link.Append(number, load.tail))
    stand.generate(number, 1, load.num_output)
    stand.run()
    timing = stand.timing(number, begin)
    stand.close(number)
    return timing


def conversation(stand: Stand, load: Load, num_turns: int) -> list[float]:
    """Hold turns with one picture at the start; return seconds to each first token."""
    number = stand.open(load.before)
    stand.run()
    first_s = []
    for turn in range(1, num_turns + 1):
        begin = time.perf_counter()
        stand.order(link.Append(number, load.tail))
        stand.generate(number, turn, TURN_TOKENS)
        stand.run()
        first_s.append(stand.timing(number, begin).first_s)
        ends: list[link.Part] = [link.ControlPart("end"), link.ControlPart("user")]
        stand.order(link.Append(number, ends))
        stand.run()
    stand.close(number)
    return first_s


def decode_together(stand: Stand, load: Load, num_sessions: int) -> float:
    """Write replies in several sessions at once; return seconds per step of all."""
    words: list[link.Part] = [link.TokensPart(load.ids * 10)]
    numbers = [stand.open(words) for _ in range(num_sessions)]
    stand.run()
    for number in numbers:
        stand.generate(number, 1, load.num_output)
    stand.run()
    # Everybody's first token comes before anybody's second is worth counting.
    per_token_s = max(stand.timing(number, 0.0).per_token_s for number in numbers)
    stand.close(*numbers)
    return per_token_s


def median(timings: list[Timing]) -> Timing:
    """Return the median of each figure."""
    return Timing(
        statistics.median(timing.first_s for timing in timings),
        statistics.median(timing.per_token_s for timing in timings),
    )
