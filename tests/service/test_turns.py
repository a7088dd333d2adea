"""Whole turns over the network, with real recordings and the demo model."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.media.labelled import Recording, read_recordings, utterances
from tests.service.harness import (
    DATA,
    REPLY_TOKENS,
    SPOKEN_TURN,
    Client,
    RunningService,
    is_subsequence,
    pcm,
    recording as clip,
)
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.service


def test_a_spoken_question_with_a_frame_is_answered(service: RunningService) -> None:
    with Client(service.url) as client:
        client.update()
        client.show((DATA / "webcam_person_a.jpg").read_bytes(), timestamp_ms=1234.0)
        client.play(clip("google_today.wav"))
        done = client.wait("response.done")["response"]
        assert [name for name, _ in itertools.groupby(client.types())] == [
            "session.created",
            "session.updated",
            *SPOKEN_TURN,
        ]
        assert done["status"] == "incomplete"  # by the token limit
        (frame,) = done["assistant"]["frames"]
        assert (frame["used"], frame["timestamp_ms"]) == (True, 1234.0)
        timeline = done["assistant"]["timeline"]
        # An answer that was written before the turn was over leaves in one go: it is done
        # before its first byte has been sent.
        first_byte_ms = timeline.pop("first_byte_ms")
        assert list(timeline.values()) == sorted(timeline.values())
        assert first_byte_ms >= timeline["first_token_ms"]
        assert done["usage"]["input_token_details"]["image_tokens"] > 0
        assert done["usage"]["input_token_details"]["audio_tokens"] > 0


def test_deltas_arrive_one_by_one_while_the_answer_is_written(
    service: RunningService,
) -> None:
    with Client(service.url) as client:
        client.ask("tell me about the river")
        arrivals = [
            at
            for event, at in zip(client.events, client.times, strict=True)
            if event["type"] == "response.output_text.delta"
        ]
        assert len(arrivals) > REPLY_TOKENS / 2
        assert len({round(at, 4) for at in arrivals}) > len(arrivals) / 2
        text = client.events[-1]["response"]["output"][0]["content"][0]["text"]
        deltas = [e["delta"] for e in client.events if "delta" in e]
        assert "".join(deltas) == text


@pytest.mark.parametrize("recording", read_recordings(), ids=lambda found: found.name)
def test_one_turn_per_labelled_utterance_within_150_ms(
    service: RunningService, recording: Recording
) -> None:
    lead_s, padding_s = 0.5, 0.3
    silence = np.zeros(int(lead_s * 16_000), np.float32)
    with Client(service.url) as client:
        # At four times the pace an answer may be written for longer than the pause after
        # it: who is quiet would have to wait for its end, were it spoken aloud.
        client.update(assistant={"speaks_aloud": "no"})
        client.play(
            pcm(np.concatenate([silence, recording.samples, silence, silence])), 4.0
        )
        client.send("session.update", session={"type": "realtime", "instructions": "end"})
        client.wait("session.updated")
        started = [
            e["audio_start_ms"] / 1000 for e in client.events if "audio_start_ms" in e
        ]
        stopped = [e["audio_end_ms"] / 1000 for e in client.events if "audio_end_ms" in e]
    onsets = [start_s + padding_s - lead_s for start_s in started]
    found = list(zip(onsets, [stop_s - lead_s for stop_s in stopped], strict=True))
    expected = utterances(recording.labels, 500, found)
    assert len(found) == len(expected)
    for turn, label in zip(found, expected, strict=True):
        assert turn == pytest.approx(label, abs=0.150)


def test_barge_in_ends_the_answer_and_the_next_turn_is_answered(
    service: RunningService,
) -> None:
    with Client(service.url) as client:
        client.update(max_output_tokens=4000)
        client.play(clip("google_today.wav", tail_s=0.8))
        client.wait("response.output_text.delta")
        count = len(client.events)
        client.play(clip("google_today.wav", lead_s=0.0))
        done = client.wait("response.done")["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        after = [
            name for name in client.types(count) if name != "response.output_text.delta"
        ]
        assert after[:6] == [
            "input_audio_buffer.speech_started",
            "response.output_text.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
        client.wait("response.output_text.delta")


def test_a_cancelled_answer_says_nothing_after_its_end(service: RunningService) -> None:
    with Client(service.url) as client:
        part = {"type": "input_text", "text": "count to one hundred"}
        item = {"type": "message", "role": "user", "content": [part]}
        client.send("conversation.item.create", item=item)
        client.send("response.create")
        client.wait("response.output_text.delta")
        client.send("response.cancel")
        done = client.wait("response.done")["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert done["output"][0]["status"] == "incomplete"
        count = len(client.events)
        assert client.ask("and now?")["status"] == "incomplete"
        late = [e for e in client.events[count:] if e.get("response_id") == done["id"]]
        assert late == []


def test_push_to_talk_answers_what_was_committed(service: RunningService) -> None:
    with Client(service.url) as client:
        client.update(audio={"input": {"turn_detection": None}})
        client.append(clip("google_today.wav"))
        client.send("input_audio_buffer.commit")
        client.send("response.create")
        client.wait("response.done")
        assert is_subsequence(
            ["input_audio_buffer.committed", "response.done"], client.types()
        )
        assert "input_audio_buffer.speech_started" not in client.types()


def test_ten_sessions_are_answered_at_once(service: RunningService) -> None:
    clients = [Client(service.url) for _ in range(10)]
    try:
        part = {"type": "input_text", "text": "hello"}
        for client in clients:
            item = {"type": "message", "role": "user", "content": [part]}
            client.send("conversation.item.create", item=item)
            client.send("response.create")
        for client in clients:
            done = client.wait("response.done")["response"]
            assert done["usage"]["output_tokens"] == REPLY_TOKENS
    finally:
        for client in clients:
            client.close()


def test_the_talk_command_prints_an_answer(service: RunningService) -> None:
    command = ["assistant", "talk", "--url", service.url, "--text", "hello"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_service_stops_quickly_and_cleanly_on_sigterm(
    arguments: tuple[str, ...],
) -> None:
    service = RunningService(*arguments)
    with Client(service.url):
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 20


def test_health_says_which_model_answers(service: RunningService) -> None:
    health = service.get("/health")
    assert (health["status"], health["model"]) == ("ok", "talkative")
    assert service.get("/ready") == {"ready": True}
    assert [model["id"] for model in service.get("/v1/models")["data"]] == ["talkative"]
