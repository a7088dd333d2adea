import base64
import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from assistant.cli.completion_client import CompletionClient
from assistant.cli.conversation import Picture
from assistant.cli.questions import Asker, check_audio
from assistant.errors import CommandError
from tests.cli.fake_completions import FakeCompletions, serving

RATE = 4000  # of the test's recordings: minutes of them are small


def recorded(folder: Path, seconds: float, level: float = 0.1) -> Path:
    file = folder / "recording.flac"
    minute = np.random.default_rng(0).normal(0, level, 60 * RATE)
    soundfile.write(file, np.resize(minute, int(seconds * RATE)), RATE)
    return file


def asked(fake: FakeCompletions, use: Any) -> str:
    """Let ``use`` ask; return what was shown."""
    shown: list[str] = []
    with serving(fake) as address:
        client = CompletionClient(address=address)
        use(Asker(client, "fake", shown.append, lambda text: None))
    return "".join(shown)


def durations(fake: FakeCompletions) -> list[float]:
    """Seconds of sound in every question that had some."""
    found = []
    for body in fake.bodies:
        for part in body["messages"][0]["content"]:
            if part["type"] == "input_audio":
                data = base64.b64decode(part["input_audio"]["data"])
                found.append(soundfile.info(io.BytesIO(data)).duration)
    return found


def test_a_question_goes_with_its_pictures_and_its_sound(tmp_path: Path) -> None:
    fake = FakeCompletions()
    picture = Picture(b"jpeg", "image/jpeg")
    file = recorded(tmp_path, 2)
    assert asked(fake, lambda asker: asker.ask("What?", [picture], file)) == "A red cup."
    content = fake.bodies[0]["messages"][0]["content"]
    assert [part["type"] for part in content] == ["image_url", "input_audio", "text"]
    assert content[0]["image_url"]["url"] == "data:image/jpeg;base64,anBlZw=="
    assert durations(fake) == [2.0]


def test_a_long_recording_is_transcribed_in_sections_of_40_s(tmp_path: Path) -> None:
    fake = FakeCompletions(answers=[["One ", "two."], ["Three."]])
    file = recorded(tmp_path, 70)
    text = asked(fake, lambda asker: asker.do("transcribe", "", file))
    assert text == "One two.\nThree."
    assert len(durations(fake)) == 2
    assert abs(sum(durations(fake)) - 70) < 0.01
    assert max(durations(fake)) <= 40
    assert fake.bodies[0]["assistant"] == {"task": {"type": "transcribe", "language": None}}


def test_transcript_and_translation_stand_below_each_other(tmp_path: Path) -> None:
    fake = FakeCompletions(answers=[["Hello.", " <sep> ", "Hallo."]])
    file = recorded(tmp_path, 2)
    text = asked(fake, lambda asker: asker.do("transcribe_translate", "German", file))
    assert text == "Hello.\n  Hallo."
    assert fake.bodies[0]["assistant"]["task"]["language"] == "German"


def test_the_summary_of_a_long_recording_is_one_of_its_summaries(tmp_path: Path) -> None:
    fake = FakeCompletions(answers=[["First."], ["Second."], ["All of it."]])
    file = recorded(tmp_path, 300)
    assert asked(fake, lambda asker: asker.do("summarise", "", file)) == "All of it."
    assert len(durations(fake)) == 2
    assert max(durations(fake)) <= 240
    assert fake.texts()[-1].endswith("First.\n\nSecond.")
    assert [body.get("max_tokens") for body in fake.bodies] == [256, 256, None]


def test_a_short_recording_is_summarised_at_once(tmp_path: Path) -> None:
    fake = FakeCompletions(answers=[["All of it."]])
    file = recorded(tmp_path, 2)
    assert asked(fake, lambda asker: asker.do("summarise", "", file)) == "All of it."
    assert len(fake.bodies) == 1


def test_what_a_terminal_would_obey_is_not_shown(tmp_path: Path) -> None:
    fake = FakeCompletions(answers=[["\x1b[2J"]])
    assert "\x1b" not in asked(fake, lambda asker: asker.ask("x", [], None))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    file = tmp_path / "silence.flac"
    soundfile.write(file, np.zeros(400 * RATE), RATE)  # 26 MB as float32 at 16 kHz
    tracemalloc.start()
    try:
        check_audio("transcribe", file)
        asked(FakeCompletions(), lambda asker: asker.do("transcribe", "", file))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * 2**20


@pytest.mark.parametrize(
    ("task", "seconds", "says"),
    [
        ("assistant", 241, r"at most 240 s .*; the tasks \(--task\) take up to 1800 s"),
        ("summarise", 1801, "at most 1800 s are taken"),
    ],
)
def test_a_recording_over_the_bound_is_refused_before_anything_starts(
    tmp_path: Path, task: str, seconds: float, says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        check_audio(task, recorded(tmp_path, seconds, level=0.0))


def test_a_recording_within_the_bound_is_accepted_and_others_are_named(
    tmp_path: Path,
) -> None:
    check_audio("assistant", recorded(tmp_path, 2))
    with pytest.raises(CommandError, match="no such file"):
        check_audio("assistant", tmp_path / "none.wav")
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(CommandError, match=r"a\.wav"):
        check_audio("transcribe", tmp_path / "a.wav")
