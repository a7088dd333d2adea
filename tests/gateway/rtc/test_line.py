"""Whole WebRTC calls inside one process: stock aiortc calls the service."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av import AudioFrame

from assistant.config import RtcConfig
from assistant.wire import link
from tests.gateway.asgi import Exchange
from tests.gateway.fakes import run
from tests.gateway.places import Place, place
from tests.gateway.rtc.caller import PATH, Caller, Recording, speech_48k

QUESTION = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "what is this?"}],
}


async def end(at: Place, caller: Caller) -> None:
    """Hang up as a page that is closed does; wait until everything is free."""
    await caller.close()
    await is_free(at)


async def is_free(at: Place) -> None:
    async with asyncio.timeout(5):
        while at.service.calls or len(at.service.lines):  # noqa: ASYNC110 # of several
            await asyncio.sleep(0.01)


def test_a_question_typed_over_the_data_channel_is_answered_over_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at, Caller() as caller:
            await caller.call(at.app)
            created = await caller.until("session.created")
            assert created["session"]["id"].startswith("sess_")
            caller.send("conversation.item.create", item=QUESTION)
            caller.send("response.create")
            at.engine.answer(await at.generate(), "a ", "cup")
            done = await caller.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "a cup"
            await end(at, caller)

    run(scenario())


@pytest.mark.service
def test_a_spoken_question_becomes_a_turn_and_is_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at, Caller(Recording(speech_48k())) as caller:
            await caller.call(at.app)
            await caller.until("input_audio_buffer.speech_started")
            await caller.until("input_audio_buffer.committed")
            while not at.engine.of(link.Generate):  # noqa: ASYNC110 # the second one
                await asyncio.sleep(0.02)
            at.engine.answer(await at.generate(), "yes")
            done = await caller.until("response.done")
            assert done["response"]["status"] == "completed"
            await end(at, caller)

    run(scenario())


class Beep(Recording):
    """A microphone that hears 20 ms of a tone, and says so before they are on their way."""

    def __init__(self) -> None:
        at_s = np.arange(960) / 48_000
        beep = (20_000 * np.sin(2 * np.pi * 1000 * at_s)).astype("<i2")
        super().__init__(bytes(2 * 48_000) + beep.tobytes())
        self.is_heard = asyncio.Event()

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        if frame.to_ndarray().max() > 10_000:
            self.is_heard.set()
        return frame


@pytest.mark.service
def test_what_is_said_when_the_button_is_let_go_is_part_of_the_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        beep = Beep()
        async with place(tmp_path) as at, Caller(beep) as caller:
            await caller.call(at.app)
            by_hand = {"audio": {"input": {"turn_detection": None}}}
            caller.send("session.update", session={"type": "realtime", **by_hand})
            await beep.is_heard.wait()
            caller.send("input_audio_buffer.commit")
            caller.send("response.create")
            await at.generate()
            clips = [
                np.frombuffer(part.samples, np.float32)
                for order in at.engine.of(link.Append)
                for part in order.parts
                if isinstance(part, link.AudioPart)
            ]
            assert np.concatenate(clips).max() > 0.1
            await end(at, caller)

    run(scenario())


def test_sound_in_events_is_refused_while_there_is_a_track(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at, Caller(Recording(b"")) as caller:
            await caller.call(at.app)
            caller.send("input_audio_buffer.append", audio="AAAA")
            error = await caller.until("error")
            assert error["error"]["code"] == "invalid_event_for_transport"
            await end(at, caller)

    run(scenario())


def test_hanging_up_ends_the_call_and_tells_the_peer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at, Caller() as caller:
            await caller.call(at.app)
            path = caller.location + "/hangup"
            async with Exchange(at.app, path, b"") as exchange:
                await exchange.task
            assert exchange.status == 200
            await caller.is_closed.wait()
            await end(at, caller)

    run(scenario())


@pytest.mark.service
def test_a_peer_that_never_comes_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        rtc = RtcConfig(setup_timeout_s=1.0, return_s=0.0)
        async with place(tmp_path, rtc=rtc) as at, Caller() as caller:
            body = (await caller.offer()).encode()
            headers = {"content-type": "application/sdp"}
            async with Exchange(at.app, PATH, body, headers=headers) as posted:
                await posted.task
            assert posted.status == 201
            assert len(at.service.calls) == 1
            await is_free(at)
            await caller.close()

    run(scenario())


@pytest.mark.service
def test_a_peer_that_vanishes_is_noticed_and_all_it_had_is_freed(tmp_path: Path) -> None:
    async def scenario() -> None:
        rtc = RtcConfig(vanished_s=1.0, return_s=0.0)
        async with place(tmp_path, rtc=rtc) as at, Caller() as caller:
            await caller.call(at.app)
            caller.vanish()
            await is_free(at)
            await caller.close()

    run(scenario())


def test_a_client_that_comes_back_finds_its_session_and_what_it_missed(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        rtc = RtcConfig(vanished_s=1.0, return_s=10.0)
        async with place(tmp_path, rtc=rtc) as at:
            lost, back = Caller(), Caller()
            await lost.call(at.app)
            created = await lost.until("session.created")
            lost.send("conversation.item.create", item=QUESTION)
            lost.send("response.create")
            generate = await at.generate()
            created_response = await lost.until("response.created")
            lost.vanish()
            at.engine.answer(generate, "a ", "cup")
            call_id = lost.location.rpartition("/")[2]
            query = f"call_id={call_id}&last_event_id={created_response['event_id']}"
            await back.call(at.app, query)
            assert back.location == lost.location
            greeting = await back.until("session.created")
            assert greeting["session"]["id"] == created["session"]["id"]
            done = await back.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "a cup"
            assert types(back).count("response.created") == 0
            assert len(at.service.calls) == 1
            await lost.close()
            await end(at, back)

    run(scenario())


def test_a_call_outlives_neither_the_service_nor_its_drain(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at, Caller() as caller:
            await caller.call(at.app)
            await at.service.lines.close()
            assert at.service.calls == set()
            await caller.is_closed.wait()
            await caller.close()

    run(scenario())


def types(caller: Caller) -> list[Any]:
    return [event["type"] for event in caller.events]
