"""People who talk at once, to a service that answers whatever is loud."""

import pytest

from assistant.cli import sound
from assistant.cli.conversation import Picture, Service
from assistant.cli.speakers import DEAF_CHUNKS, LEAD_CHUNKS, Ears, Microphone, talk_at_once
from assistant.cli.turn_figures import turns_of
from assistant.errors import CommandError
from tests.cli.fake_service import FakeService, run_with

PICTURE = Picture(b"\xff\xd8\xff picture", "image/jpeg")
LOUD = b"\x11\x22" * sound.CHUNK_SAMPLES
IN_A_HURRY = 400.0


def test_everybody_says_everything_and_hears_every_answer() -> None:
    service = FakeService()
    texts: list[list[str]] = []

    async def talk() -> None:
        there = Service(url=service.address)
        said = [[[LOUD] * 2, [LOUD] * 3]] * 3
        heard = await talk_at_once(there, said, [PICTURE], timeout_s=5.0, speed=IN_A_HURRY)
        texts.extend([turn.text for turn in turns_of(one)] for one in heard)

    run_with(service, talk)
    assert texts == [["A red cup.", "A red cup."]] * 3
    sounds = service.of_type("input_audio_buffer.append")
    assert sum(event["audio"].strip("A=") != "" for event in sounds) == 3 * 5
    assert service.of_type("input_image_buffer.append")


def test_an_error_of_the_service_is_one_reason_and_ends_everybody() -> None:
    service = FakeService(answer=({"type": "error", "error": {"message": "no room"}},))

    async def talk() -> None:
        there = Service(url=service.address)
        said = [[[LOUD]]] * 2
        await talk_at_once(there, said, [], timeout_s=5.0, speed=IN_A_HURRY)

    with pytest.raises(CommandError, match="no room"):
        run_with(service, talk)


def test_a_service_that_leaves_is_a_stated_failure() -> None:
    service = FakeService(closes_at_once=True)

    async def talk() -> None:
        there = Service(url=service.address)
        await talk_at_once(there, [[[LOUD]]] * 2, [], timeout_s=5.0, speed=IN_A_HURRY)

    with pytest.raises(CommandError, match="closed the connection"):
        run_with(service, talk)


def test_what_nobody_takes_for_speech_is_passed_over() -> None:
    microphone = Microphone([[LOUD], [LOUD]], Ears(), patience_chunks=1000)
    chunks = []
    while (chunk := microphone.next()) is not None:
        chunks.append(chunk)
    assert chunks.count(LOUD) == 2
    assert chunks.index(LOUD) == LEAD_CHUNKS
    assert len(chunks) == 2 * (LEAD_CHUNKS + 1 + DEAF_CHUNKS + 1)


def test_the_next_recording_waits_for_the_answer_to_this_one() -> None:
    ears = Ears()
    microphone = Microphone([[LOUD], [LOUD]], ears, patience_chunks=1000)
    for _ in range(LEAD_CHUNKS + 1):
        microphone.next()
    for kind in ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"):
        ears.receive(0.0, {"type": kind})
    assert {microphone.next() for _ in range(200)} == {sound.SILENCE}
    for kind in ("response.created", "response.done"):
        ears.receive(0.0, {"type": kind})
    assert LOUD in [microphone.next() for _ in range(LEAD_CHUNKS + 2)]


def test_an_answer_that_never_comes_is_not_waited_for_forever() -> None:
    ears = Ears()
    ears.receive(0.0, {"type": "input_audio_buffer.speech_started"})
    microphone = Microphone([[LOUD]], ears, patience_chunks=50)
    chunks = iter(microphone.next, None)
    with pytest.raises(CommandError, match="no answer 2 s on"):
        list(chunks)
