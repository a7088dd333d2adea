"""A call whose sound and pictures come from media tracks, and who leads it."""

import asyncio
import json

import numpy as np
import pytest

from assistant.config import Config, LimitsConfig
from assistant.gateway.engine_client import EngineClient
from assistant.media.frames import frame_of_pixels
from tests.gateway.fakes import run
from tests.gateway.test_call import CONFIG, QUESTION, Line

SECOND = np.zeros(16_000, np.float32)
FULL_SOON = Config(vad=CONFIG.vad, limits=LimitsConfig(conversation_items=1))
PICTURE = frame_of_pixels(np.full((60, 80, 3), 200, np.uint8))


async def by_hand(line: Line) -> None:
    detection = {"audio": {"input": {"turn_detection": None}}}
    await line.send("session.update", session={"type": "realtime", **detection})


def test_sound_of_a_track_is_committed_like_any_other() -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        await by_hand(line)
        for _ in range(3):
            line.call.hear(SECOND)
        await line.send("input_audio_buffer.commit")
        assert (await line.until("input_audio_buffer.committed"))["item_id"]
        await line.send("input_audio_buffer.commit")
        assert "only has 0.00ms" in (await line.until("error"))["error"]["message"]

    run(scenario())


def test_a_track_that_nobody_commits_drops_its_oldest_sound_and_no_event_is_made() -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        await by_hand(line)
        for _ in range(130):  # the bound is 120 s
            line.call.hear(SECOND)
        await line.send("input_audio_buffer.commit")
        await line.until("input_audio_buffer.committed")
        assert all(event["type"] != "error" for event in line.events)

    run(scenario())


def test_speech_that_there_is_no_room_for_is_refused_and_the_call_goes_on() -> None:
    async def scenario() -> None:
        line = Line(EngineClient(), FULL_SOON)
        line.call.open()
        await line.call.receive_text(json.dumps(QUESTION), line.outbox)
        for probability in (0.95, 0.95, 0.02, 0.02):
            windows = iter([probability] * 31)
            line.call._senses.probabilities = lambda windows=windows: windows  # type: ignore[method-assign,misc]  # a detector by hand
            line.call.hear(SECOND)
        refused = await line.until("error")
        assert refused["error"]["code"] == "conversation_full"
        assert line.call.hang is None
        line.call.close()

    run(scenario())


def test_a_question_in_writing_first_asks_the_camera() -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        num_looks = 0

        async def look() -> None:
            nonlocal num_looks
            num_looks += 1
            line.call.see(PICTURE, line.call.now())

        line.call.tracks.look = look
        await line.call.receive_text(json.dumps(QUESTION), line.outbox)
        assert num_looks == 0
        await line.send("response.create")
        assert num_looks == 1
        assert len(line.call._senses.frames()) == 1

    run(scenario())


def test_after_the_end_nothing_is_heard_or_seen_any_more() -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        line.call.hang_up()
        assert line.call.ended.is_set()
        line.call.hear(SECOND)
        line.call.see(PICTURE, 0.0)
        assert line.call._senses.frames() == []
        line.call.close()
        assert await line.rest() == ["session.created"]

    run(scenario())


async def catch_up() -> None:
    """There is nothing to wait for."""


def test_the_last_to_take_the_lead_has_it_and_brings_its_own_media() -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        first = line.call.take_lead()
        line.call.tracks.catch_up = catch_up
        second = line.call.take_lead()
        assert first.is_set()
        assert not second.is_set()
        assert line.call.tracks.catch_up is None
        await line.send("input_audio_buffer.append", audio="AAAAAAAA")
        line.call.tracks.catch_up = catch_up
        await line.send("input_audio_buffer.append", audio="AAAAAAAA")
        error = await line.until("error")
        assert error["error"]["code"] == "invalid_event_for_transport"

    run(scenario())


def test_a_bug_in_what_hears_ends_the_call_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()

        def bug(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(line.call._session, "receive_audio", bug)
        line.call.hear(SECOND)
        assert line.call.hang is not None
        assert line.call.hang.code == 1011
        await asyncio.wait_for(line.call.ended.wait(), 1)

    run(scenario())
