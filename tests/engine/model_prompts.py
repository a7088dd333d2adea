"""Prompts of every kind, and what a backend replies to them greedily."""

from pathlib import Path

import numpy as np
import soundfile
from torch import Tensor

from assistant.config import EngineConfig
from assistant.engine.backend import Backend, PartlyEncoded
from assistant.engine.core import Engine
from assistant.wire import link

DATA = Path(__file__).parent.parent / "data"


def speech() -> link.AudioPart:
    samples, rate_hz = soundfile.read(DATA / "google_today.wav", dtype="float32")
    assert rate_hz == 16_000
    return link.AudioPart(np.ascontiguousarray(samples, dtype="<f4").tobytes())


def photo(max_crops: int = 1) -> link.ImagePart:
    return link.ImagePart((DATA / "webcam_person_a.jpg").read_bytes(), max_crops)


def encode_whole(backend: Backend, media: object, adapter: link.Adapter) -> Tensor:
    """Encode a chunk's media to the end: [N, H]."""
    media = backend.encode(media, adapter)
    while isinstance(media, PartlyEncoded):
        media = backend.encode(media, adapter)
    assert isinstance(media, Tensor)
    return media


def turn(*parts: link.Part) -> list[link.Part]:
    """Return a user's turn up to the place where the reply starts."""
    before, after = link.ControlPart("user"), link.ControlPart("end")
    return [before, *parts, after, link.ControlPart("assistant")]


def prompts() -> dict[str, tuple[link.Adapter, list[link.Part]]]:
    question = link.TextPart("what do you see?")
    return {
        "text": ("none", turn(link.TextPart("hello there"))),
        "speech": ("speech", turn(speech())),
        "speech and text": ("speech", turn(speech(), link.TextPart("Transcribe it."))),
        "vision": ("vision", turn(photo(), question)),
        "vision, many crops": ("vision", turn(photo(max_crops=4), question)),
        "vision and speech": ("vision", turn(photo(), speech())),
        "two pictures": ("vision", turn(photo(), photo(2), speech())),
    }


class Desk:
    """An engine on a backend, and what it reported."""

    def __init__(self, backend: Backend, config: EngineConfig) -> None:
        self.sent: list[link.Report] = []
        self.engine = Engine(backend, config, lambda _, report: self.sent.append(report))

    def order(self, *orders: link.Order) -> None:
        for order in orders:
            self.engine.receive_order(0, order, 0.0)

    def run(self) -> None:
        while self.engine.step(0.0):
            pass

    def ids(self, sequence: int, generation: int = 1) -> list[int]:
        failed = [report for report in self.sent if isinstance(report, link.Failed)]
        assert not failed
        return [
            token
            for report in self.sent
            if isinstance(report, link.Token)
            and (report.sequence, report.generation) == (sequence, generation)
            for token in report.ids
        ]

    def ask(
        self, sequence: int, adapter: link.Adapter, parts: list[link.Part], num: int
    ) -> None:
        self.order(link.Open(sequence, adapter), link.Append(sequence, parts))
        self.order(link.Generate(sequence, 1, link.Sampling(max_tokens=num)))


def reply(
    backend: Backend, config: EngineConfig, adapter: link.Adapter, parts: list[link.Part]
) -> list[int]:
    """Return the ids of a greedy reply of at most 24 tokens."""
    desk = Desk(backend, config)
    desk.ask(1, adapter, parts, num=24)
    desk.run()
    return desk.ids(1)
