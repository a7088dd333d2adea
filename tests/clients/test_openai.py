"""The stock ``openai`` client, pointed here by its ``base_url`` and by nothing else."""

import asyncio
import base64
import itertools
import json
import time
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.service.harness import DATA, PACKET_S, SPOKEN_TURN, RunningService, recording
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.clients

LADDER = [
    "session.created",
    "session.updated",
    "conversation.item.added",
    "conversation.item.done",
    *SPOKEN_TURN,
]


def client_of(service: RunningService) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0)


async def collect(connection: Any, last: str) -> list[Any]:
    """Receive until an event of type ``last``."""
    events = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in connection:
            events.append(event)
            if event.type == last:
                return events
    raise AssertionError("the connection ended")


def text_item(text: str) -> dict[str, Any]:
    part = {"type": "input_text", "text": text}
    return {"type": "message", "role": "user", "content": [part]}


def test_a_recorded_question_and_one_jpeg_give_the_documented_ladder(
    service: RunningService,
) -> None:
    async def talk() -> list[Any]:
        async with client_of(service).realtime.connect(model="phi") as connection:
            await connection.session.update(
                session={"type": "realtime", "output_modalities": ["text"]}
            )
            jpeg = base64.b64encode((DATA / "webcam_person_a.jpg").read_bytes()).decode()
            image = {"type": "input_image", "image_url": f"data:image/jpeg;base64,{jpeg}"}
            item: Any = {"type": "message", "role": "user", "content": [image]}
            await connection.conversation.item.create(item=item)
            microphone = asyncio.create_task(speak(connection))
            events = await collect(connection, "response.done")
            await microphone
            return events

    async def speak(connection: Any) -> None:
        sound = recording("google_today.wav")
        start = time.monotonic()
        for number, at in enumerate(range(0, len(sound), 960)):
            await asyncio.sleep(max(0, start + number * PACKET_S - time.monotonic()))
            packet = base64.b64encode(sound[at : at + 960]).decode()
            await connection.input_audio_buffer.append(audio=packet)

    events = asyncio.run(talk())
    assert [kind for kind, _ in itertools.groupby(event.type for event in events)] == LADDER
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 20
    # How far apart they come depends on how much was written before the turn was over.
    response = events[-1].response
    assert "".join(delta.delta for delta in deltas) == response.output[0].content[0].text
    assert response.usage.input_token_details.image_tokens > 0


def test_text_cancel_delete_and_retrieve(service: RunningService) -> None:
    async def talk() -> None:
        async with client_of(service).realtime.connect(model="phi") as connection:
            await connection.conversation.item.create(item=text_item("hello"))
            await connection.response.create()
            events = await collect(connection, "response.done")
            answer = events[-1].response.output[0]
            await connection.conversation.item.retrieve(item_id=answer.id)
            (retrieved,) = await collect(connection, "conversation.item.retrieved")
            assert retrieved.item.content[0].text == answer.content[0].text
            await connection.conversation.item.delete(item_id=answer.id)
            await collect(connection, "conversation.item.deleted")
            await connection.response.create()
            await collect(connection, "response.output_text.delta")
            await connection.response.cancel()
            events = await collect(connection, "response.done")
            assert events[-1].response.status == "cancelled"

    asyncio.run(talk())


def test_an_error_reaches_the_client_with_the_id_of_its_event(
    service: RunningService,
) -> None:
    async def talk() -> None:
        async with client_of(service).realtime.connect(model="phi") as connection:
            await connection.response.cancel(event_id="mine")
            events = await collect(connection, "error")
            assert events[-1].error.event_id == "mine"
            assert events[-1].error.code == "response_cancel_not_active"

    asyncio.run(talk())


def test_models_can_be_listed(service: RunningService) -> None:
    async def names() -> list[str]:
        async with client_of(service) as client:
            return [model.id async for model in client.models.list()]

    assert asyncio.run(names()) == ["talkative"]


WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of the next days.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"enum": ["Berlin", "Paris"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
        },
        "required": ["city", "days"],
    },
}
CALLED = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def test_a_forced_call_and_its_result_make_a_round_trip(service: RunningService) -> None:
    async def talk() -> list[Any]:
        async with client_of(service).realtime.connect(model="phi") as connection:
            await connection.session.update(
                session={"type": "realtime", "tools": [WEATHER], "tool_choice": "required"}
            )
            await collect(connection, "session.updated")
            await connection.conversation.item.create(item=text_item("And tomorrow?"))
            await collect(connection, "conversation.item.done")
            await connection.response.create()
            events = await collect(connection, "response.done")
            call = events[-1].response.output[0]
            output: Any = {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": "sunny",
            }
            await connection.conversation.item.create(item=output)
            await connection.response.create(response={"tool_choice": "none"})
            answer = await collect(connection, "response.done")
            assert answer[-1].response.output[0].type == "message"
            return events

    events = asyncio.run(talk())
    assert [kind for kind, _ in itertools.groupby(event.type for event in events)] == CALLED
    (call,) = events[-1].response.output
    deltas = [e for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(delta.delta for delta in deltas) == call.arguments
    arguments = json.loads(call.arguments)
    assert call.name == "get_weather"
    assert arguments["city"] in ("Berlin", "Paris")
    assert 1 <= arguments["days"] <= 7


def test_an_answer_out_of_band_leaves_the_conversation_alone(
    service: RunningService,
) -> None:
    async def talk() -> list[Any]:
        async with client_of(service).realtime.connect(model="phi") as connection:
            await connection.conversation.item.create(item=text_item("hello"))
            await collect(connection, "conversation.item.done")
            await connection.response.create(
                response={"conversation": "none", "metadata": {"topic": "title"}}
            )
            return await collect(connection, "response.done")

    events = asyncio.run(talk())
    assert not [event for event in events if event.type.startswith("conversation.")]
    response = events[-1].response
    assert (response.conversation_id, response.metadata) == (None, {"topic": "title"})
    assert response.output[0].content[0].text
