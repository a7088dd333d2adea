"""A gateway's end of the link, synchronous and small, for tests."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar

from assistant.wire import link

R = TypeVar("R", bound=link.Message)

TIMEOUT_S = 20.0


class LinkClient:
    """Send orders, wait for reports; what was not waited for stays in ``reports``."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout_s)
        try:
            self.sock.connect(str(path))
        except OSError:
            self.sock.close()
            raise
        self._deframer = link.Deframer()
        self._unread: list[link.Report] = []
        self.reports: list[link.Report] = []
        """Everything received so far, in order."""

    def send(self, *orders: link.Order) -> None:
        self.sock.sendall(b"".join(link.encode(order) for order in orders))

    def receive(self) -> link.Report:
        """Return the next report; ``ConnectionError`` when the engine hung up."""
        while not self._unread:
            data = self.sock.recv(2**20)
            if not data:
                raise ConnectionError("the engine closed the connection")
            self._unread += map(link.decode_report, self._deframer.receive_data(data))
        report = self._unread.pop(0)
        self.reports.append(report)
        return report

    def wait_for(self, kind: type[R], is_wanted: Callable[[R], bool] = lambda _: True) -> R:
        """Receive until a report of this kind comes; return it."""
        while True:
            report = self.receive()
            if isinstance(report, kind) and is_wanted(report):
                return report

    def reply(self, sequence: int, generation: int) -> tuple[str, list[int], link.Finished]:
        """Receive until a generation is over; return its text, its ids and its end."""
        text, ids = "", []
        for report in self._of(sequence, generation):
            if isinstance(report, link.Token):
                text += report.text
                ids += report.ids
            elif isinstance(report, link.Finished):
                return text + report.text, ids, report
            elif isinstance(report, link.Failed):
                raise AssertionError(f"the generation failed: {report}")
        raise AssertionError("unreachable")

    def _of(self, sequence: int, generation: int) -> Iterator[link.Report]:
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            report = self.receive()
            if getattr(report, "sequence", None) != sequence:
                continue
            if getattr(report, "generation", generation) in (generation, None):
                yield report
        raise AssertionError("the generation did not end in time")

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def text(content: str) -> list[link.Part]:
    """Return the parts of a prompt that is plain text."""
    return [link.TextPart(content)]
