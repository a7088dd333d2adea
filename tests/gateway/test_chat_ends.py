"""How a chat completion ends: clients that leave, time, and many at once."""

import asyncio
import json
from pathlib import Path

import pytest

from assistant.config import EngineConfig
from assistant.wire import link
from tests.gateway.fakes import run
from tests.gateway.places import error_of, place
from tests.turns.harness import shown


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_generation(tmp_path: Path, stream: bool) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask(stream=stream) as asked:
            await here.generate()
            asked.leave()
            await asked.task
            await here.is_idle()

    run(scenario())


def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            place(tmp_path, send_deadline_s=0.1) as here,
            here.ask(stream=True) as asked,
        ):
            asked.is_reading = False
            generate = await here.generate()
            here.engine.say(link.Token(generate.sequence, 1, [1], "A red "))
            await asked.task
            assert asked.num_aborted == 1
            await here.is_idle()

    run(scenario())


def test_an_answer_must_begin_and_end_in_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = EngineConfig(admission_timeout_s=0.1)
        async with place(tmp_path, engine=engine) as here, here.ask() as asked:
            assert error_of(asked, await asked.answer()) == (503, "server_overloaded")
            await here.is_idle()

    run(scenario())


def test_an_answer_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, completion_max_s=0.1) as here, here.ask() as asked:
            generate = await here.generate()
            here.engine.say(link.Admitted(generate.sequence, 1))
            assert error_of(asked, await asked.answer()) == (504, "completion_timeout")
            await here.is_idle()

    run(scenario())


def test_a_body_must_arrive_in_time_and_may_stop_coming(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, request_body_s=0.1) as here:
            async with here.post(b"{", is_whole=False) as asked:
                assert error_of(asked, await asked.answer()) == (408, "request_timeout")
            async with here.post(b"{", is_whole=False) as asked:
                asked.leave()
                await asked.task
            assert here.service.num_requests == 0

    run(scenario())


def test_an_engine_that_goes_while_the_request_is_read_is_told_nothing(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here:
            whole = b'{"model": "fake", "messages": [{"role": "user", "content": "x"}]}'
            async with here.post(whole[:9], is_whole=False) as asked:
                while not here.service.num_requests:  # noqa: ASYNC110 # it is being read
                    await asyncio.sleep(0)
                here.service.engine.ready = None
                asked.send_rest(whole[9:])
                assert error_of(asked, await asked.answer()) == (503, "engine_gone")
            assert here.service.num_requests == 0
            assert here.engine.orders == []

    run(scenario())


def test_many_at_once_get_their_own_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here:

            async def one(number: int) -> None:
                async with here.ask(f"Question {number}") as asked:
                    told = await asked.answer()
                    content = told["choices"][0]["message"]["content"]
                    assert content == f"to Question {number}"

            async def answer_all() -> None:
                for number in range(8):
                    generate = (await here.engine.wait_for(link.Generate, number + 1))[
                        number
                    ]
                    (words,) = (
                        part.text
                        for append in here.engine.of(link.Append)
                        for part in append.parts
                        if append.sequence == generate.sequence
                        and isinstance(part, link.TextPart)
                    )
                    here.engine.answer(generate, "to ", words)

            await asyncio.gather(answer_all(), *(one(number) for number in range(8)))
            await here.is_idle()

    run(scenario())


def test_nothing_a_user_said_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as here, here.ask("my secret") as asked:
            here.engine.answer(await here.generate(), "their secret")
            assert "their secret" in json.dumps(await asked.answer())

    caplog.set_level("DEBUG", logger="assistant")
    run(scenario())
    assert "tokens after" in caplog.text
    assert "secret" not in caplog.text


def test_the_next_request_of_a_conversation_reads_only_what_is_new(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, kept_completions=1) as here:
            async with here.ask() as asked:
                first = await here.generate()
                here.engine.answer(first, "Hi.")
                await asked.answer()
            num_read = len(here.engine.of(link.Append))
            messages = [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi."},
                {"role": "user", "content": "Bye"},
            ]
            async with here.post({"model": "fake", "messages": messages}) as asked:
                second = await here.generate(2)
                here.engine.answer(second, "Bye.")
                told = await asked.answer()
            assert told["choices"][0]["message"]["content"] == "Bye."
            assert second.sequence == first.sequence
            assert len(here.engine.of(link.Open)) == 1
            read = here.engine.of(link.Append)[num_read:]
            assert shown([part for order in read for part in order.parts]) == (
                "<assistant> Hi. <end> <user> Bye <end> <assistant>"
            )

    run(scenario())


def test_no_more_is_kept_than_sessions_leave_room_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path, kept_completions=4) as here:
            for number in (1, 2):  # the engine has two rows
                async with here.ask(f"Question {number}") as asked:
                    here.engine.answer(await here.generate(number), "Hi.")
                    await asked.answer()
            (closed,) = await here.engine.wait_for(link.Close)
            assert closed.sequence == here.engine.of(link.Open)[0].sequence

    run(scenario())
