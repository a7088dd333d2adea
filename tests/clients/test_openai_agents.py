"""The stock ``openai-agents`` realtime client: strict about every event it gets."""

import asyncio
from typing import Any

import pytest
from agents.realtime import RealtimeAgent, RealtimeRunner

from tests.service.harness import PACKET_S, RunningService, recording

pytestmark = pytest.mark.clients


def url_of(service: RunningService) -> str:
    return service.url.replace("http", "ws", 1) + "/v1/realtime?model=phi"


async def run(service: RunningService) -> Any:
    agent = RealtimeAgent(name="Assistant", instructions="Answer briefly.")
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": "phi"}})
    return await runner.run(model_config={"url": url_of(service), "api_key": "unused"})


async def until_the_answer_ends(session: Any) -> list[Any]:
    events = []
    async with asyncio.timeout(30):
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
