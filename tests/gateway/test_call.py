import asyncio
import base64
import itertools
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.config import Config, EngineConfig, LimitsConfig, ServerConfig, VadConfig
from assistant.gateway.call import LARGE_ITEM_CHARS, SLICE_BYTES, Call
from assistant.gateway.engine_client import EngineClient
from assistant.media import frames
from assistant.wire import client_events, link
from tests.gateway.fakes import FakeEngine, run
from tests.media.pictures import encoded

CONFIG = Config(vad=VadConfig(engine="webrtc"))
QUESTION = {
    "type": "conversation.item.create",
    "item": {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "what is this?"}],
    },
}


class Line:
    """A call and its client: sends events, reads what the outbox holds."""

    def __init__(self, engine: EngineClient, config: Config = CONFIG) -> None:
        self.call = Call(config, engine, "fake")
        self.outbox = self.call.audience.join()
        self.events: list[dict[str, Any]] = []

    async def send(self, kind: str, **keys: Any) -> None:
        await self.call.receive_text(json.dumps({"type": kind, **keys}), self.outbox)

    async def ask(self) -> None:
        await self.call.receive_text(json.dumps(QUESTION), self.outbox)
        await self.send("response.create")

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            outgoing = await self.outbox.get()
            assert outgoing is not None, f"closed before {kind}"
            self.events.append(json.loads(outgoing.text))
            if self.events[-1]["type"] == kind:
                return self.events[-1]

    async def rest(self) -> list[str]:
        """Read to the end; return the types."""
        types = []
        while (outgoing := await self.outbox.get()) is not None:
            types.append(json.loads(outgoing.text)["type"])
        return types


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[FakeEngine, EngineClient]]:
    client = EngineClient()
    async with FakeEngine(path / "e") as engine:
        await client.connect(engine.path, 5)
        yield engine, client
        client.disconnect()


def data_uri(picture: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()


def test_a_typed_question_goes_to_the_engine_and_its_answer_to_the_client(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            await line.ask()
            assert line.call.is_answering
            (generate,) = await engine.wait_for(link.Generate)
            engine.answer(generate, "a ", "cup")
            done = await line.until("response.done")
            assert line.events[0]["type"] == "session.created"
            assert done["response"]["output"][0]["content"][0]["text"] == "a cup"
            line.call.close()
            await engine.wait_for(link.Close)

    run(scenario())


def test_a_client_that_floods_us_with_sound_is_told_and_then_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (_, client):
            limits = LimitsConfig(audio_ahead_s=2.0)
            flood = Line(client, Config(vad=CONFIG.vad, limits=limits))
            calm = Line(client)
            monkeypatch.setattr(flood.call, "now", lambda: 1.0)
            flood.call.open()
            calm.call.open()
            sound = base64.b64encode(bytes(48_000)).decode()  # one second
            for _ in range(5):
                await flood.send("input_audio_buffer.append", audio=sound)
            assert flood.call.hang is not None
            assert flood.call.hang.code == 1008
            types = await flood.rest()
            assert types.count("error") == 3, "two seconds were taken, three refused"
            heard = flood.call._session._buffer.heard
            assert heard == pytest.approx(2 * 16_000, abs=100)
            assert calm.call.hang is None
            for line in (flood, calm):
                line.call.close()

    run(scenario())


def test_a_bug_in_one_session_ends_that_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            broken, sound = Line(client), Line(client)

            def bug(*_: object) -> None:
                raise ZeroDivisionError

            for line in (broken, sound):
                line.call.open()
                await line.ask()
            monkeypatch.setattr(broken.call._session, "receive_report", bug)
            for generate in await engine.wait_for(link.Generate, 2):
                engine.answer(generate, "yes")
            await sound.until("response.done")
            assert "response.done" not in await broken.rest()
            assert broken.call.hang is not None
            assert broken.call.hang.code == 1011
            assert client.ready is not None
            broken.call.close()
            sound.call.close()

    run(scenario())


def test_a_call_is_let_go_even_if_its_session_cannot_say_good_bye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (_, client):
            line = Line(client)
            line.call.open()

            def bug() -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(line.call._session, "close", bug)
            with pytest.raises(ZeroDivisionError):
                line.call.close()
            assert await line.rest() == ["session.created"]
            assert client._listeners == set()

    run(scenario())


def test_a_deadline_that_is_now_can_be_set_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uvloop fires up to half a millisecond early, and its handle for now has no time."""

    async def scenario() -> None:
        line = Line(EngineClient())
        monkeypatch.setattr(line.call._session, "deadline", lambda: 0.0)
        line.call.open()
        for _ in range(3):
            line.call.receive_engine(None)
        await line.send("input_audio_buffer.clear")
        await line.until("input_audio_buffer.cleared")
        assert line.call.hang is None
        line.call.close()

    run(scenario())


def test_a_turn_that_the_engine_does_not_take_fails_by_the_timer() -> None:
    async def scenario() -> None:
        config = Config(vad=CONFIG.vad, engine=EngineConfig(admission_timeout_s=0.02))
        line = Line(EngineClient(), config)
        line.call.open()
        await line.ask()
        done = await line.until("response.done")
        assert done["response"]["status_details"]["error"]["code"] == "server_overloaded"
        line.call.close()

    run(scenario())


def test_a_session_at_its_bound_hangs_up_and_hears_nothing_more() -> None:
    async def scenario() -> None:
        config = Config(vad=CONFIG.vad, server=ServerConfig(session_max_s=0.01))
        line = Line(EngineClient(), config)
        line.call.open()
        error = await line.until("error")
        assert error["error"]["code"] == "session_expired"
        await line.ask()
        line.call.receive_engine(None)
        assert await line.rest() == []
        assert line.call.hang is not None
        assert line.call.hang.code == 1000
        line.call.close()

    run(scenario())


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_audio_length"),
        ({"type": "input_audio_buffer.append", "audio": "!"}, "invalid_value"),
        ({"type": "input_image_buffer.append", "image": "AAAA"}, "unsupported_image_type"),
        (
            {"type": "input_image_buffer.append", "image": "AAAA", "timestamp_ms": 1e99},
            "invalid_value",
        ),
        ({"type": "nonsense"}, "invalid_value"),
    ],
)
def test_an_event_that_is_refused_is_named_and_the_session_goes_on(
    event: dict[str, Any], code: str
) -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        await line.call.receive_text(json.dumps({"event_id": "mine", **event}), line.outbox)
        error = await line.until("error")
        assert (error["error"]["code"], error["error"]["event_id"]) == (code, "mine")
        line.call.receive_binary(line.outbox)
        assert (await line.until("error"))["error"]["code"] == "invalid_event"
        await line.send("session.update", session={"type": "realtime"})
        await line.until("session.updated")
        line.call.close()

    run(scenario())


def test_sound_over_the_bound_of_one_event_is_refused_as_a_whole() -> None:
    async def scenario() -> None:
        config = Config(vad=CONFIG.vad, limits=LimitsConfig(audio_append_bytes=1024))
        line = Line(EngineClient(), config)
        line.call.open()
        sound = base64.b64encode(bytes(1026)).decode()
        await line.send("input_audio_buffer.append", audio=sound)
        assert (await line.until("error"))["error"]["param"] == "audio"
        line.call.close()

    run(scenario())


def test_other_tasks_get_their_turn_within_a_long_piece_of_sound() -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        turns = itertools.count()

        async def other() -> None:
            while True:
                next(turns)
                await asyncio.sleep(0)

        others = asyncio.create_task(other())
        sound = base64.b64encode(bytes(5 * SLICE_BYTES)).decode()
        await line.send("input_audio_buffer.append", audio=sound)
        others.cancel()
        assert next(turns) >= 4
        line.call.close()

    run(scenario())


def test_a_report_in_the_middle_of_a_long_piece_of_sound_is_taken_at_once(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            await line.ask()
            (generate,) = await engine.wait_for(link.Generate)
            sound = base64.b64encode(bytes(40 * SLICE_BYTES)).decode()
            hearing = asyncio.create_task(
                line.send("input_audio_buffer.append", audio=sound)
            )
            await asyncio.sleep(0)
            engine.answer(generate, "yes")
            await line.until("response.done")
            assert not hearing.done()
            await hearing
            line.call.close()

    run(scenario())


@pytest.mark.parametrize("kind", ["frame", "item"])
def test_pictures_are_judged_off_the_loop_and_in_order(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        line = Line(EngineClient())
        line.call.open()
        judged: list[bool] = []
        check = frames.check_frame

        def noted(*arguments: Any) -> frames.Frame:
            judged.append(threading.current_thread() is threading.main_thread())
            return check(*arguments)

        monkeypatch.setattr(frames, "check_frame", noted)
        picture = encoded(".jpg") + bytes(LARGE_ITEM_CHARS)
        if kind == "frame":
            image = base64.b64encode(picture).decode()
            await line.send("input_image_buffer.append", image=image)
            await line.send("input_image_buffer.clear")
            await line.until("input_image_buffer.cleared")
        else:
            part = {"type": "input_image", "image_url": data_uri(picture)}
            item = {"type": "message", "role": "user", "content": [part]}
            await line.send("conversation.item.create", item=item)
            await line.until("conversation.item.done")
        assert judged == [False]
        assert "error" not in [event["type"] for event in line.events]
        line.call.close()

    run(scenario())


def test_a_changed_format_is_how_the_next_sound_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            form = {"type": "audio/pcmu"}
            audio = {"input": {"format": form, "turn_detection": None}}
            await line.send("session.update", session={"type": "realtime", "audio": audio})
            sound = base64.b64encode(bytes(8001)).decode()  # odd: no PCM16
            await line.send("input_audio_buffer.append", audio=sound)
            await line.send("input_audio_buffer.commit")
            await line.send("response.create")
            await engine.wait_for(link.Generate)
            parts = [part for order in engine.of(link.Append) for part in order.parts]
            (clip,) = [part for part in parts if isinstance(part, link.AudioPart)]
            assert len(clip.samples) / 4 == pytest.approx(16_000, abs=100)
            line.call.close()

    run(scenario())


def test_a_call_may_begin_with_settings_that_were_chosen_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (_, client):
            line = Line(client)
            form = client_events.AudioFormat("audio/pcmu")
            audio = client_events.AudioPatch(input=client_events.AudioInputPatch(form))
            line.call.open(
                client_events.SessionPatch(instructions="Be short.", audio=audio)
            )
            session = (await line.until("session.created"))["session"]
            assert session["instructions"] == "Be short."
            assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
            sound = base64.b64encode(b"\xff" * 8001).decode()  # silence; no PCM16
            await line.send("input_audio_buffer.append", audio=sound)
            line.call.close()
            assert await line.rest() == []

    run(scenario())
