"""``assistant ask`` from the command line."""

from pathlib import Path

import pytest

from assistant.__main__ import main
from assistant.cli.ask import TASKS
from assistant.turns.tasks import KINDS
from tests.cli.fake_completions import FakeCompletions, serving

DATA = Path(__file__).parents[1] / "data"
SOUND = str(DATA / "google_today.wav")
PICTURE = str(DATA / "bottles.jpg")


def test_a_question_with_a_picture_and_sound_is_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake = FakeCompletions()
    with serving(fake) as address:
        arguments = ["--url", address, "--image", PICTURE, "--audio", SOUND]
        assert main(["ask", *arguments, "What is it?"]) == 0
    assert capsys.readouterr().out == "A red cup.\n"
    assert fake.texts() == ["What is it?"]


def test_a_task_is_done_with_the_key_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_API_KEY", "k")
    fake = FakeCompletions(answers=[["Heute."]], key="k")
    with serving(fake) as address:
        arguments = ["--url", address, "--task", "translate", "--to", "German"]
        assert main(["ask", *arguments, "--audio", SOUND]) == 0
    assert capsys.readouterr().out == "Heute.\n"
    assert fake.bodies[0]["assistant"]["task"] == {
        "type": "translate",
        "language": "German",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to ask"),
        (["--task", "transcribe"], "takes --audio"),
        (["--task", "transcribe", "--audio", SOUND, "text"], "takes --audio"),
        (["--task", "summarise", "--audio", SOUND, "--image", PICTURE], "takes --audio"),
        (["--task", "translate", "--audio", SOUND], "needs --to"),
        (["--task", "transcribe", "--to", "German", "--audio", SOUND], "takes no --to"),
        (["--to", "German", "text"], "takes no --to"),
        (["--url", "localhost:1", "--model", "demo", "text"], "service of one's own"),
        (["--url", "ftp://x", "text"], "is not an address"),
        (["--audio", "/no/such.wav", "text"], "no such file"),
        (["--image", "/no/such.jpg", "text"], "No such file"),
    ],
)
def test_what_does_not_go_together_is_one_line_before_anything_starts(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_every_task_can_be_named() -> None:
    assert TASKS == KINDS
