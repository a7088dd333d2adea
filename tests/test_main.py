"""The command line as a whole: exit statuses and one line of error."""

import subprocess
import sys
from argparse import Namespace

import pytest

from assistant import __version__
from assistant.__main__ import build_parser, main
from assistant.cli import doctor


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"assistant {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["sing"], ["model"], ["serve", "--port", "x"]])
def test_wrong_usage_has_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: assistant" in capsys.readouterr().err


def test_a_failure_on_purpose_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "--config", "/no/such/file"]) == 1
    assert capsys.readouterr().err == (
        "assistant: /no/such/file: No such file or directory\n"
    )


def test_an_interruption_is_quiet_and_has_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_options: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupt)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "")


def test_every_command_explains_itself() -> None:
    for command in ("serve", "talk", "ask", "model", "doctor", "config"):
        with pytest.raises(SystemExit) as stopped:
            build_parser().parse_args([command, "--help"])
        assert stopped.value.code == 0


def test_a_reader_that_stops_reading_is_no_failure() -> None:
    command = [sys.executable, "-m", "assistant", "config"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0
