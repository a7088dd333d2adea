from pathlib import Path

import pytest

from assistant.__main__ import build_parser, main
from assistant.cli import demo
from assistant.demo import course


def test_the_lessons_are_those_of_the_course() -> None:
    assert demo.LESSONS == course.LESSONS


def test_a_folder_without_a_model_is_a_stated_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["demo", "evaluate", "--work", str(tmp_path), "--model", str(tmp_path)]
    assert main(arguments) == 1
    assert "holds no model" in capsys.readouterr().err


def test_training_takes_one_lesson_or_all() -> None:
    options = build_parser().parse_args(
        ["demo", "train", "--work", "w", "--lesson", "ears"]
    )
    assert (options.work, options.lesson, options.threads) == (Path("w"), "ears", 2)
