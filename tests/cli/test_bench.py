import json
import typing

import pytest

from assistant.__main__ import main
from assistant.cli.bench import MODELS
from assistant.model.random_weights import NAMES


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--tokens", "1", "must be at least 2"),
        ("--repeats", "0", "must be at least 1"),
        ("--sessions", "1,x", "must be like 1,4,16"),
        ("--sessions", "0", "must be at least 1"),
        ("--threads", "-1", "must be at least 0"),
    ],
)
def test_a_wrong_number_is_one_line_that_names_the_option(
    capsys: pytest.CaptureFixture[str], option: str, value: str, reason: str
) -> None:
    assert main(["bench", "engine", option, value]) == 1
    error = capsys.readouterr().err
    assert option in error
    assert reason in error
    assert error.count("\n") == 1


def test_the_models_offered_are_those_there_are() -> None:
    assert MODELS == NAMES


@pytest.mark.parity
def test_a_run_ends_with_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = "bench engine --random tiny --threads 1 --tokens 2 --repeats 1 --sessions 1"
    assert main([*words.split(), "--baseline", "none"]) == 0
    lines = capsys.readouterr().out.splitlines()
    figures = typing.cast("dict[str, object]", json.loads(lines[-1]))
    assert figures["model"] == "random tiny"
    assert typing.cast("float", figures["per_token_ms"]) > 0
    assert lines[0] == "roofline"
