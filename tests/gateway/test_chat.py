import base64
import json
from pathlib import Path
from typing import Any

import pytest

from assistant.wire import link
from assistant.wire.client_events import SessionPatch
from tests.gateway.fakes import finished, run
from tests.gateway.places import error_of, place
from tests.turns.harness import shown

DATA = Path(__file__).parents[1] / "data"


# --- answers -----------------------------------------------------------------------------


def test_a_question_is_answered_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(max_tokens=9) as asked:
            generate = await here.generate()
            assert generate.sampling.max_tokens == 9
            here.engine.answer(generate, "A red ", "cup.")
            told = await asked.answer()
            assert asked.status == 200
            assert told["model"] == "fake"
            assert told["choices"][0]["message"]["content"] == "A red cup."
            assert told["choices"][0]["finish_reason"] == "stop"
            assert told["usage"]["total_tokens"] == 12
            await here.is_idle()

    run(scenario())


def test_a_stream_has_the_role_the_words_the_end_and_the_usage(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async with place(tmp_path) as here, here.ask(**options) as asked:
            here.engine.answer(await here.generate(), "A red ", "cup.")
            await asked.task
            assert asked.headers["content-type"].startswith("text/event-stream")
            *chunks, usage, done = asked.events()
            assert done == "[DONE]"
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
            assert deltas == [
                {"role": "assistant", "content": ""},
                {"content": "A red "},
                {"content": "cup."},
                {},
            ]
            reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
            assert reasons == [None, None, None, "stop"]
            assert all(chunk["usage"] is None for chunk in chunks)
            assert usage["choices"] == []
            assert usage["usage"]["completion_tokens"] == 2
            assert len({chunk["id"] for chunk in [*chunks, usage]}) == 1
            await here.is_idle()

    run(scenario())


def test_words_leave_as_they_come_and_usage_only_when_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(stream=True) as asked:
            generate = await here.generate()
            here.engine.say(link.Token(generate.sequence, 1, [1], "A red "))
            await asked.until(b"A red ")
            assert not asked.is_complete
            here.engine.say(finished(generate))
            await asked.task
            assert asked.events()[-1] == "[DONE]"
            assert b"usage" not in asked.body

    run(scenario())


def test_a_stop_string_ends_the_answer_and_the_generation(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(stop="END") as asked:
            generate = await here.generate()
            for word in ("One E", "ND", " two"):
                here.engine.say(link.Token(generate.sequence, 1, [1], word))
            told = await asked.answer()
            assert told["choices"][0]["message"]["content"] == "One "
            assert told["choices"][0]["finish_reason"] == "stop"
            await here.is_idle()

    run(scenario())


def test_pictures_and_recordings_reach_the_engine(tmp_path: Path) -> None:
    def encoded(name: str) -> str:
        return base64.b64encode((DATA / name).read_bytes()).decode()

    async def scenario() -> None:
        sound = {"data": encoded("google_today.wav"), "format": "wav"}
        url = "data:image/jpeg;base64," + encoded("bottles.jpg")
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "input_audio", "input_audio": sound},
        ]
        async with place(tmp_path) as here, here.ask(content) as asked:
            generate = await here.generate()
            parts = [p for append in here.engine.of(link.Append) for p in append.parts]
            (picture,) = (part for part in parts if isinstance(part, link.ImagePart))
            (clip,) = (part for part in parts if isinstance(part, link.AudioPart))
            assert picture.data == (DATA / "bottles.jpg").read_bytes()
            assert abs(len(clip.samples) / 4 / 16_000 - 0.591) < 0.01
            assert here.engine.of(link.Open)[0].adapter == "vision"
            here.engine.answer(generate, "Yes.")
            await asked.answer()

    run(scenario())


def test_a_task_answers_with_its_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        data = base64.b64encode((DATA / "google_today.wav").read_bytes()).decode()
        sound = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        task = {"type": "transcribe_translate", "language": "German"}
        keys = {"assistant": {"task": task}}
        async with place(tmp_path) as here, here.ask([sound], **keys) as asked:
            generate = await here.generate()
            words: list[link.Part] = [
                part
                for append in here.engine.of(link.Append)
                for part in append.parts
                if not isinstance(part, link.AudioPart)
            ]
            assert shown(words).startswith("<user> Transcribe the audio to text, and then")
            here.engine.answer(generate, "Today<sep>", "Heute")
            told = await asked.answer()
            assert told["assistant"]["transcript"] == "Today"
            assert told["assistant"]["translation"] == "Heute"

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
def test_calls_are_told_as_clients_expect_them(tmp_path: Path, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "light", "parameters": {}}}
    words = ('<|tool_call|>[{"name": "light", ', '"arguments": {"on": 1}}]<|/tool_call|>')

    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(tools=[tool], stream=stream) as asked:
            here.engine.answer(await here.generate(), *words)
            await asked.task
            if stream:
                *chunks, _ = asked.events()
                deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
                calls = [c for delta in deltas for c in delta.get("tool_calls", [])]
                assert calls[0]["id"].startswith("call_")
                assert calls[0]["function"]["name"] == "light"
                assert all(call["index"] == 0 for call in calls)
                arguments = "".join(call["function"]["arguments"] for call in calls)
                reason = chunks[-1]["choices"][0]["finish_reason"]
            else:
                choice = json.loads(asked.body)["choices"][0]
                (call,) = choice["message"]["tool_calls"]
                assert choice["message"]["content"] is None
                assert (call["type"], call["function"]["name"]) == ("function", "light")
                arguments = call["function"]["arguments"]
                reason = choice["finish_reason"]
            assert json.loads(arguments) == {"on": 1}
            assert reason == "tool_calls"

    run(scenario())


# --- refusals ----------------------------------------------------------------------------


def test_who_has_no_key_is_told_how_to_show_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, keys=("k",)) as here:
            async with here.ask() as asked:
                assert error_of(asked, await asked.answer()) == (401, "invalid_api_key")
                assert asked.headers["www-authenticate"] == "Bearer"
            issued, _ = here.service.secrets.issue(SessionPatch(), 60, 0)
            key = {"authorization": f"Bearer {issued}"}
            async with here.post({}, headers=key) as asked:
                assert error_of(asked, await asked.answer()) == (401, "invalid_api_key")
            key = {"authorization": "Bearer k"}
            async with here.post({}, headers=key) as asked:
                await asked.answer()
                assert asked.status == 400

    run(scenario())


WORDLESS = {"model": "fake", "messages": [{"role": "user", "content": ""}]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        ({"model": "gpt-9", "messages": []}, 404, "model_not_found"),
        ({"model": "fake", "messages": []}, 400, "invalid_value"),
        (WORDLESS, 400, "empty_prompt"),
        (b" " * 65_537, 413, "request_too_large"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_and_leave_nothing_behind(
    tmp_path: Path, body: Any, status: int, code: str
) -> None:
    async def scenario() -> None:
        async with place(tmp_path, max_message_bytes=65_536) as here:
            async with here.post(body) as asked:
                assert error_of(asked, await asked.answer()) == (status, code)
            assert here.service.num_requests == 0
            assert here.engine.orders == []

    run(scenario())


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJDRA=="}},
            "unsupported_image_type",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJDRA==", "format": "wav"}},
            "unsupported_audio_type",
        ),
    ],
)
def test_what_is_no_picture_and_no_recording_is_refused(
    tmp_path: Path, part: dict[str, Any], code: str
) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask([part]) as asked:
            assert error_of(asked, await asked.answer()) == (400, code)

    run(scenario())


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("context_length_exceeded", 400),
        ("no_free_slot", 503),
        ("too_many_sequences", 503),
        ("internal_error", 500),
    ],
)
def test_what_the_engine_refuses_has_a_status_of_its_own(
    tmp_path: Path, code: str, status: int
) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(stream=True) as asked:
            generate = await here.generate()
            here.engine.say(
                link.Failed(
                    sequence=generate.sequence, generation=1, code=code, message="no"
                )
            )
            assert error_of(asked, await asked.answer()) == (status, code)
            assert ("retry-after" in asked.headers) == (status == 503)
            await here.is_idle()

    run(scenario())


def test_a_failure_after_the_first_word_is_told_in_the_stream(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(stream=True) as asked:
            generate = await here.generate()
            here.engine.say(link.Token(generate.sequence, 1, [1], "A red "))
            await asked.until(b"A red ")
            here.engine.hang_up()
            await asked.task
            assert asked.status == 200
            assert asked.events()[-1]["error"]["code"] == "engine_gone"
            assert asked.is_complete
            assert here.service.num_requests == 0

    run(scenario())


def test_one_more_than_the_bound_is_told_to_come_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, max_requests=1) as here, here.ask() as first:
            generate = await here.generate()
            async with here.ask() as second:
                told = await second.answer()
                assert error_of(second, told) == (429, "rate_limit_exceeded")
                assert told["error"]["type"] == "rate_limit_error"
                assert second.headers["retry-after"] == "1"
            here.engine.answer(generate, "Yes.")
            await first.answer()
            async with here.ask() as third:
                here.engine.answer(await here.generate(2), "Yes.")
                await third.answer()
                assert third.status == 200

    run(scenario())


def test_without_an_engine_and_while_draining_nobody_is_let_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here:
            here.service.is_draining = True
            async with here.ask() as asked:
                assert error_of(asked, await asked.answer()) == (
                    503,
                    "server_shutting_down",
                )
            here.service.is_draining = False
            here.service.engine.ready = None
            async with here.ask() as asked:
                assert error_of(asked, await asked.answer()) == (503, "engine_gone")

    run(scenario())
