import json
from pathlib import Path

import pytest

from assistant.__main__ import main
from assistant.cli.bench_endpointing import lines

DATA = Path(__file__).parents[1] / "data" / "vad"


def test_the_last_line_is_json_and_the_curves_are_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("speechbrain_valid.flac", "speechbrain_valid.tsv"):
        (tmp_path / name).symlink_to(DATA / name)
    plot = tmp_path / "curves.png"
    words = ["bench", "endpointing", "--recordings", str(tmp_path), "--gap", "0.7"]
    assert main([*words, "--detectors", "webrtc", "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out.splitlines()
    figures = json.loads(printed[-1])
    assert figures["webrtc fixed"]["turns"] == 2
    assert len(figures["webrtc adaptive"]["points"]) > 10
    assert printed[0] == "webrtc fixed"
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--snr", "20,x", "must be like 20,10,5"),
        ("--detectors", "silero,ears", "no 'ears'"),
        ("--recordings", "/nowhere", "no such folder"),
    ],
)
def test_a_wrong_option_is_one_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str, reason: str
) -> None:
    words = ["bench", "endpointing", "--recordings", str(DATA), option, value]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_shares_are_per_cent_delays_are_ms_and_what_is_missing_is_said() -> None:
    figures: dict[str, object] = {
        "default_cut_offs": 0.125,
        "default_delay_ms": 512.4,
        "cut_offs_at_300_ms": None,
        "opened": {"dog": 2},
        "points": [],
    }
    shown = [line.split()[-1] for line in lines(figures)]
    assert shown == ["12.5%", "512", "reached", "2"]
    assert lines({"opened": {}})[0].endswith("none")
