"""``assistant talk`` from the command line."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.__main__ import main
from assistant.cli.talk import read_picture
from assistant.errors import CommandError
from tests.cli.fake_service import FakeService, serving


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n", "image/png"),
        (b"RIFF0000WEBP", "image/webp"),
    ],
)
def test_the_kind_of_a_picture_is_told_by_its_bytes(
    tmp_path: Path, start: bytes, media_type: str
) -> None:
    (tmp_path / "picture.txt").write_bytes(start)
    assert read_picture(tmp_path / "picture.txt") == (start, media_type)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"RIFF0000WAVE"])
def test_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(CommandError, match=r"a\.gif is neither"):
        read_picture(tmp_path / "a.gif")


def test_a_missing_picture_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["talk", "--text", "x", "--image", "/no/such.jpg"]) == 1
    assert capsys.readouterr().err == "assistant: /no/such.jpg: No such file or directory\n"


def test_sound_and_text_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["talk", "--text", "x", "--wav", "y"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.fixture
def service() -> Iterator[FakeService]:
    """Serve in another thread while the command runs in this one."""
    fake, is_up, loop = FakeService(), threading.Event(), asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def serve() -> None:
        async with serving(fake):
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert is_up.wait(10)
    yield fake
    loop.call_soon_threadsafe(is_over.set)
    thread.join(10)
    loop.close()


def test_a_question_in_writing_is_answered(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["talk", "--url", service.address, "--text", "What is it?"]) == 0
    assert capsys.readouterr().out.startswith("assistant: A red cup.\n  first words ")


def test_a_recording_with_a_picture_is_answered(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(str(tmp_path / "a.wav"), np.full(2400, 0.5), 24_000)
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    arguments = ["--wav", str(tmp_path / "a.wav"), "--image", str(tmp_path / "a.jpg")]
    assert main(["talk", "--url", service.address, *arguments]) == 0
    assert "assistant: A red cup.\n" in capsys.readouterr().out
    assert len(service.of_type("input_image_buffer.append")) == 1
