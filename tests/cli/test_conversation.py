"""The terminal client says everything it was given, and ends for one stated reason."""

import asyncio
import base64
import itertools
import socket

import pytest

from assistant.cli import sound
from assistant.cli.conversation import Picture, Service, ask, speak, websocket_url
from assistant.errors import CommandError
from tests.cli.fake_service import ANSWER, FakeService, run_with

PICTURE = Picture(b"\xff\xd8\xff picture", "image/jpeg")
LOUD = b"\x11\x22" * sound.CHUNK_SAMPLES
IN_A_HURRY = 200.0


def asked(service: FakeService, *, key: str = "", timeout_s: float = 5.0) -> str:
    """Ask a question with a picture; return what was shown."""
    shown: list[str] = []

    async def talk() -> None:
        there = Service(url=service.address, key=key)
        await ask(there, "What is it?", [PICTURE], shown.append, timeout_s)

    run_with(service, talk)
    return "".join(shown)


def spoken(service: FakeService, chunks: list[bytes], timeout_s: float = 5.0) -> str:
    """Say ``chunks`` with a picture; return what was shown."""
    shown: list[str] = []

    async def talk() -> None:
        there = Service(url=service.address)
        await speak(there, chunks, [PICTURE], shown.append, timeout_s, IN_A_HURRY)

    run_with(service, talk)
    return "".join(shown)


def test_a_written_question_takes_its_pictures_along() -> None:
    service = FakeService()
    assert asked(service).startswith("assistant: A red cup.\n")
    (created,) = service.of_type("conversation.item.create")
    image, text = created["item"]["content"]
    assert image["image_url"] == f"data:image/jpeg;base64,{PICTURE.base64}"
    assert text == {"type": "input_text", "text": "What is it?"}


def test_the_session_asks_for_text_and_sends_24_khz() -> None:
    service = FakeService()
    asked(service)
    (update,) = service.of_type("session.update")
    assert update["session"]["output_modalities"] == ["text"]
    sent = update["session"]["audio"]["input"]["format"]
    assert sent == {"type": "audio/pcm", "rate": 24_000}


def test_sound_is_said_whole_and_followed_by_silence_until_the_answer() -> None:
    service = FakeService()
    assert "A red cup." in spoken(service, [LOUD] * 3)
    said = [
        base64.b64decode(e["audio"]) for e in service.of_type("input_audio_buffer.append")
    ]
    assert said[:3] == [LOUD] * 3
    assert len(said) > 3
    assert set(said[3:]) == {sound.SILENCE}


def test_a_picture_is_shown_before_the_sound_and_then_once_a_second() -> None:
    service = FakeService()
    spoken(service, [LOUD] * 60)
    kinds = [event["type"] for event in service.received]
    shown = [i for i, kind in enumerate(kinds) if kind == "input_image_buffer.append"]
    assert shown[0] < kinds.index("input_audio_buffer.append")
    assert {b - a for a, b in itertools.pairwise(shown)} == {26}
    assert len(shown) >= 3


def test_an_error_of_the_service_ends_it() -> None:
    error = {"type": "error", "error": {"code": "image_too_large", "message": "too large"}}
    with pytest.raises(CommandError, match="reports image_too_large: too large"):
        asked(FakeService(answer=(error,)))
    with pytest.raises(CommandError, match="reports image_too_large: too large"):
        spoken(FakeService(answer=(error,)), [LOUD])


def test_an_answer_that_does_not_come_ends_in_time() -> None:
    with pytest.raises(CommandError, match=r"no answer from ws://127\.0\.0\.1:.* in time"):
        asked(FakeService(answer=ANSWER[:2]), timeout_s=0.05)
    with pytest.raises(CommandError, match="in time"):
        spoken(FakeService(answer=()), [LOUD], timeout_s=0.05)


def test_a_service_that_hangs_up_is_quoted() -> None:
    with pytest.raises(CommandError, match=r"closed the connection.*too many sessions"):
        asked(FakeService(closes_at_once=True))


def test_a_key_is_shown_and_a_missing_one_is_explained() -> None:
    assert "A red cup." in asked(FakeService(key="k"), key="k")
    with pytest.raises(CommandError, match=r"\(401\); put a key into ASSISTANT_API_KEY"):
        asked(FakeService(key="k"))


def test_nobody_listening_is_one_clear_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        there = Service(url=f"ws://127.0.0.1:{unused.getsockname()[1]}/v1/realtime")
        with pytest.raises(CommandError, match="is the service running there"):
            asyncio.run(ask(there, "x", [], lambda _: None, 1.0))


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:8000", "ws://localhost:8000/v1/realtime"),
        ("http://a.example", "ws://a.example/v1/realtime"),
        ("https://a.example/", "wss://a.example/v1/realtime"),
        ("wss://a.example/x?model=y", "wss://a.example/x?model=y"),
        ("ws://[::1]:9", "ws://[::1]:9/v1/realtime"),
    ],
)
def test_addresses_are_completed(typed: str, url: str) -> None:
    assert websocket_url(typed) == url


@pytest.mark.parametrize(
    "typed", ["", "ftp://a", "ws://", "ws://a:x", "ws://a:99999", "ws://["]
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(CommandError, match="is not an address"):
        websocket_url(typed)
