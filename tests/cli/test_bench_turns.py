import json
import os
from pathlib import Path
from typing import Any

import pytest

from assistant.__main__ import main
from assistant.cli.bench_turns import own_clips, rotated
from assistant.errors import CommandError


@pytest.mark.parametrize("option", ["--sessions", "--turns"])
def test_a_wrong_number_is_one_line_that_names_the_option(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert main(["bench", "turns", option, "0"]) == 1
    error = capsys.readouterr().err
    assert f"{option} = 0, must be at least 1" in error
    assert error.count("\n") == 1


def test_a_recording_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "turns", "--wav", "/no/such/file.wav"]) == 1
    assert "/no/such/file.wav" in capsys.readouterr().err


def test_an_installation_without_recordings_asks_for_some(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="give some with --wav"):
        own_clips(tmp_path)
    assert own_clips()


def test_neighbours_begin_with_different_recordings() -> None:
    assert rotated("abc", 0, 4) == ["a", "b", "c", "a"]
    assert rotated("abc", 4, 2) == ["b", "c"]


MAX_GAP_MS = 250.0
MAX_FIRST_TOKEN_MS = 300.0
CORES_MEANT = 2.0
"""The bounds hold where two cores have nothing else to do."""


def slowness() -> float:
    """Return how many times slower this machine may be: by how much it is overbooked."""
    load, _, _ = os.getloadavg()
    cores = len(os.sched_getaffinity(0))
    return max(1.0, CORES_MEANT / cores) * max(1.0, (load + CORES_MEANT) / cores)


@pytest.mark.service
def test_eight_people_talking_at_once_are_answered_soon_and_without_long_gaps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = slowness()
    assert main(["bench", "turns", "--sessions", "8", "--turns", "2"]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    allowance = max(before, slowness())
    assert figures["sessions"] == 8
    assert figures["turns"] >= 16
    assert figures["longest_gap_ms"] <= MAX_GAP_MS * allowance, figures
    assert figures["hard_end_to_socket_p95_ms"] <= MAX_FIRST_TOKEN_MS * allowance, figures
    assert figures["read_early_tokens"] > 0
    started = figures["speculations_confirmed"] + figures["speculations_rolled_back"]
    assert started == figures["speculations_started"]
