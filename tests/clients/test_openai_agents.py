"""The stock ``openai-agents`` realtime client: strict about every event it gets."""

import asyncio
from typing import Any, Literal

import pytest
from agents import function_tool
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelSendSessionUpdate,
    RealtimeRunner,
)

from tests.service.harness import PACKET_S, RunningService, recording
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.clients


def url_of(service: RunningService) -> str:
    return service.url.replace("http", "ws", 1) + "/v1/realtime?model=phi"


async def run(service: RunningService) -> Any:
    agent = RealtimeAgent(name="Assistant", instructions="Answer briefly.")
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": "phi"}})
    return await runner.run(model_config={"url": url_of(service), "api_key": "unused"})


async def until_the_answer_ends(session: Any) -> list[Any]:
    events = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in session:
            events.append(event)
            if event.type == "agent_end":
                return events
    raise AssertionError("the session ended")


def errors_of(events: list[Any]) -> list[Any]:
    return [event for event in events if event.type == "error"]


def text_of(session: Any, role: str) -> str:
    items = [
        item for item in session._history if item.type == "message" and item.role == role
    ]
    return "".join(part.text or "" for item in items for part in item.content)


def test_a_written_question_is_answered_without_a_rejected_event(
    service: RunningService,
) -> None:
    async def talk() -> tuple[list[Any], str]:
        async with await run(service) as session:
            await session.send_message("hello there")
            events = await until_the_answer_ends(session)
            return events, text_of(session, "assistant")

    events, answer = asyncio.run(talk())
    assert errors_of(events) == []
    assert len(answer) > 20


def test_a_spoken_question_is_answered_without_a_rejected_event(
    service: RunningService,
) -> None:
    async def talk() -> list[Any]:
        async with await run(service) as session:
            microphone = asyncio.create_task(speak(session))
            events = await until_the_answer_ends(session)
            await microphone
            return events

    async def speak(session: Any) -> None:
        sound = recording("google_today.wav")
        for at in range(0, len(sound), 960):
            await session.send_audio(sound[at : at + 960])
            await asyncio.sleep(PACKET_S)

    assert errors_of(asyncio.run(talk())) == []


def test_a_tool_is_run_and_its_result_is_answered_without_a_rejected_event(
    service: RunningService,
) -> None:
    async def talk() -> tuple[list[Any], list[str]]:
        asked: list[str] = []

        @function_tool  # type: ignore[untyped-decorator]  # its types are not read
        async def get_weather(city: Literal["Berlin", "Paris"]) -> str:
            """The weather of today."""
            asked.append(city)
            # Only one call is forced: what follows is an answer in words.
            settings: Any = {"tool_choice": "none"}
            update = RealtimeModelSendSessionUpdate(session_settings=settings)
            await session.model.send_event(update)
            return "sunny"

        agent = RealtimeAgent(name="Assistant", tools=[get_weather])
        settings: Any = {"model_name": "phi", "tool_choice": "required"}
        runner = RealtimeRunner(agent, config={"model_settings": settings})
        session: Any = await runner.run(
            model_config={"url": url_of(service), "api_key": "unused"}
        )
        async with session:
            await session.send_message("How is the weather?")
            events = await until_the_answer_ends(session)
            events += await until_the_answer_ends(session)
            assert len(text_of(session, "assistant")) > 20
            return events, asked

    events, asked = asyncio.run(talk())
    assert errors_of(events) == []
    assert len(asked) == 1
    assert asked[0] in ("Berlin", "Paris")
    (end,) = [event for event in events if event.type == "tool_end"]
    assert (end.tool.name, end.output) == ("get_weather", "sunny")
