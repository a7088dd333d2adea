"""What calls of one gateway share for work that is done early, and what they log of it."""

import logging
from pathlib import Path

import pytest

from assistant.wire import link
from tests.gateway.fakes import run
from tests.gateway.test_call import Line, connected


def test_an_answer_of_one_call_leaves_no_room_for_guesses_of_the_others(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            assert client.load.allows("another call", 0.5)
            await line.ask()
            assert not client.load.allows("another call", 0.5), "of two slots one is taken"
            (generate,) = await engine.wait_for(link.Generate)
            engine.answer(generate, "a cup")
            await line.until("response.done")
            assert client.load.allows("another call", 0.5)
            await line.ask()
            line.call.close()
            assert client.load.allows("another call", 0.5), "who left wants nothing"

    run(scenario())


def test_the_log_says_what_was_computed_for_a_turn_and_for_a_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            await line.ask()
            (generate,) = await engine.wait_for(link.Generate)
            appended = link.Appended(
                sequence=generate.sequence,
                num_tokens=9,
                num_text=9,
                num_image=0,
                num_audio=0,
            )
            engine.say(appended)
            engine.answer(generate, "a ", "cup")
            await line.until("response.done")
            line.call.close()

    with caplog.at_level(logging.INFO):
        run(scenario())
    turn, session = (record.getMessage() for record in caplog.records[-2:])
    assert "read_tokens 9, written_tokens 2" in turn
    assert "closed: 0 of 0 speculations confirmed" in session
    assert "wasted 0 of 11 tokens" in session
