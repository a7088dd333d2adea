"""An engine without sockets, for tests that give it orders one by one."""

from assistant.config import EngineConfig
from assistant.engine.core import Engine
from assistant.wire import link
from tests.engine.fakes import FakeBackend

NEVER = 10**9
FOUR = link.Sampling(max_tokens=4)


class Desk:
    """An engine without sockets, and everything it reported."""

    def __init__(self, num_slots: int = 4, stop_every: int = NEVER, **bounds: int) -> None:
        self.backend = FakeBackend(num_slots=num_slots, stop_every=stop_every)
        config = EngineConfig(num_slots=num_slots, **bounds)  # type: ignore[arg-type] # ints
        self.sent: list[tuple[int, link.Report]] = []
        self.engine = Engine(self.backend, config, lambda *sent: self.sent.append(sent))
        self.now = 0.0

    def order(self, *orders: link.Order, connection: int = 0) -> None:
        for order in orders:
            self.engine.receive_order(connection, order, self.now)

    def step(self) -> bool:
        return self.engine.step(self.now)

    def run(self) -> None:
        for _ in range(10_000):
            if not self.step():
                return
        raise AssertionError("the work never ends")

    def reports(self, sequence: int, connection: int = 0) -> list[link.Report]:
        return [
            report
            for number, report in self.sent
            if number == connection and getattr(report, "sequence", None) == sequence
        ]

    def ids(self, sequence: int, generation: int = 1) -> list[int]:
        return [
            token
            for report in self.reports(sequence)
            if isinstance(report, link.Token) and report.generation == generation
            for token in report.ids
        ]

    def failures(self, sequence: int) -> list[tuple[int | None, str]]:
        return [
            (report.generation, report.code)
            for report in self.reports(sequence)
            if isinstance(report, link.Failed)
        ]

    def finished(self, sequence: int, generation: int = 1) -> link.Finished:
        (report,) = [
            report
            for report in self.reports(sequence)
            if isinstance(report, link.Finished) and report.generation == generation
        ]
        return report

    def appended(self, sequence: int) -> list[int]:
        return [
            report.num_tokens
            for report in self.reports(sequence)
            if isinstance(report, link.Appended)
        ]


def fresh_ids(*contents: str | list[int], num_tokens: int = 4) -> list[int]:
    """Return what a sequence that read just this replies."""
    desk = Desk()
    parts: list[link.Part] = [
        link.TextPart(content) if isinstance(content, str) else link.TokensPart(content)
        for content in contents
    ]
    sampling = link.Sampling(max_tokens=num_tokens)
    desk.order(link.Open(1, "none"), link.Append(1, parts), link.Generate(1, 1, sampling))
    desk.run()
    return desk.ids(1)
