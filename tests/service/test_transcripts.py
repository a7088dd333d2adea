"""What the user said, in writing, through the whole service."""

import pytest

from tests.service.harness import Client, RunningService, recording

pytestmark = pytest.mark.service

DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"


def test_a_transcript_comes_behind_the_answer_and_the_item_has_it(
    service: RunningService,
) -> None:
    with Client(service.url) as client:
        client.update(audio={"input": {"transcription": {"model": "phi"}}})
        client.play(recording("google_today.wav"))
        item_id = client.wait("input_audio_buffer.committed")["item_id"]
        client.wait("response.done")
        assert DELTA not in client.types()
        completed = client.wait(COMPLETED)
        deltas = [event["delta"] for event in client.events if event["type"] == DELTA]
        assert completed["item_id"] == item_id
        assert "".join(deltas) == completed["transcript"] != ""
        assert completed["usage"]["input_token_details"]["audio_tokens"] > 0
        client.send("conversation.item.retrieve", item_id=item_id)
        (part,) = client.wait("conversation.item.retrieved")["item"]["content"]
        assert part["transcript"] == completed["transcript"]


def test_the_next_turn_finds_what_was_read_before_its_transcript(
    service: RunningService,
) -> None:
    with Client(service.url) as client:
        client.update(audio={"input": {"transcription": {"model": "phi"}}})
        cached = []
        for _ in range(2):
            client.play(recording("google_today.wav"))
            usage = client.wait("response.done")["response"]["usage"]
            cached.append(usage["input_token_details"]["cached_tokens"])
            client.wait(COMPLETED)
        assert cached[1] > 0


def test_a_session_for_transcripts_gives_them_and_nothing_else(
    service: RunningService,
) -> None:
    with Client(service.url) as client:
        session = client.update(type="transcription")["session"]
        assert session["type"] == "transcription"
        client.play(recording("google_today.wav"))
        client.wait(COMPLETED)
        assert not [name for name in client.types() if name.startswith("response.")]
        client.send("response.create", event_id="mine")
        error = client.wait("error")["error"]
        assert (error["code"], error["event_id"]) == ("transcription_session", "mine")
