"""A terminal sees one line that changes; a log file sees one line per file."""

import io

import pytest

from assistant.cli.progress import Progress, readable_bytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_one_line_per_file() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.begin("a.safetensors", 4_000_000, 1_000_000)
    clock.now = 2.0
    progress.advance(3_000_000)
    progress.end()
    assert stream.getvalue() == "a.safetensors  100% of 4 MB  1.5 MB/s\n"


def test_a_terminal_is_redrawn_at_most_five_times_a_second() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    progress.begin("a", 1000, 0)
    for step in range(100):
        clock.now = step * 0.01
        progress.advance(5)
    assert stream.getvalue().count("\r") == 5
    assert " left" in stream.getvalue()


def test_an_empty_file_is_complete() -> None:
    stream = io.StringIO()
    progress = Progress(stream, Clock())
    progress.begin("empty", 0, 0)
    progress.end()
    assert stream.getvalue() == "empty  100% of 0 B  0 B/s\n"


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (4_997_504_848, "5 GB"),
        (10**13, "10 TB"),
    ],
)
def test_sizes_have_three_digits(num_bytes: int, text: str) -> None:
    assert readable_bytes(num_bytes) == text
