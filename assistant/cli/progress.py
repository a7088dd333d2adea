"""A progress line on a terminal; one line per finished file anywhere else."""

import time
from collections.abc import Callable
from typing import TextIO

_REDRAW_S = 0.2
_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Shows how much of a download is there, and how fast it comes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._name = ""
        self._total_bytes = 0
        self._done_bytes = 0
        self._started_bytes = 0
        self._started = 0.0
        self._drawn = 0.0

    def begin(self, name: str, total_bytes: int, done_bytes: int) -> None:
        """Start a file of which ``done_bytes`` are already there."""
        self._name = name
        self._total_bytes = total_bytes
        self._done_bytes = self._started_bytes = done_bytes
        self._started = self._clock()
        self._drawn = self._started - _REDRAW_S

    def advance(self, num_bytes: int) -> None:
        """Count bytes that have arrived."""
        self._done_bytes += num_bytes
        if self._is_terminal and self._clock() - self._drawn >= _REDRAW_S:
            self._drawn = self._clock()
            self._stream.write(f"{_CLEAR_LINE}{self._line()}")
            self._stream.flush()

    def say(self, line: str) -> None:
        """Print a line of its own."""
        self._stream.write(f"{_CLEAR_LINE if self._is_terminal else ''}{line}\n")
        self._stream.flush()

    def end(self) -> None:
        """Finish the file."""
        self.say(self._line())

    def _line(self) -> str:
        share = self._done_bytes / self._total_bytes if self._total_bytes else 1.0
        elapsed_s = max(self._clock() - self._started, 1e-3)
        rate = (self._done_bytes - self._started_bytes) / elapsed_s
        left_s = (self._total_bytes - self._done_bytes) / rate if rate else 0.0
        left = f", {left_s:.0f} s left" if left_s else ""
        return (
            f"{self._name}  {share:4.0%} of {readable_bytes(self._total_bytes)}  "
            f"{readable_bytes(int(rate))}/s{left}"
        )


def readable_bytes(num_bytes: int) -> str:
    """Write a size with three digits: ``1.23 GB``. Units are decimal."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
