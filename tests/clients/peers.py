"""The stock clients in Python, each as a ``Peer`` of the flows."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from agents import function_tool
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeRunner,
)
from openai import AsyncOpenAI

from tests.clients.flows import WEATHER, Event, picture_item, text_item
from tests.wire.validators import validate_server_event

PACKET_BYTES = 4800  # 100 ms
PATIENCE_S = 60.0


class OpenAI:
    """``openai``: every event is an object of its types; here it stays what came."""

    def __init__(self, connection: Any) -> None:
        self.events: list[Event] = []
        self._connection = connection

    async def say(self, text: str) -> None:
        await self._connection.conversation.item.create(item=text_item(text))
        await self._connection.response.create()

    async def show(self, jpeg: bytes, text: str) -> None:
        await self._connection.conversation.item.create(item=picture_item(jpeg, text))
        await self._connection.response.create()

    async def speak(self, sound: bytes) -> None:
        for at in range(0, len(sound), PACKET_BYTES):
            packet = base64.b64encode(sound[at : at + PACKET_BYTES]).decode()
            await self._connection.input_audio_buffer.append(audio=packet)

    async def offer_tools(self) -> None:
        session = {"type": "realtime", "tools": [WEATHER], "tool_choice": "required"}
        await self._connection.session.update(session=session)

    async def answer_call(self, call: Event) -> None:
        output = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": "sunny",
        }
        await self._connection.conversation.item.create(item=output)
        await self._connection.response.create(response={"tool_choice": "none"})

    async def send(self, event: Event) -> None:
        await self._connection.send(event)

    async def wait(self, type: str) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data = await self._connection.recv_bytes()
                validate_server_event(data)
                self._connection.parse_event(data)
                event: Event = json.loads(data)
                self.events.append(event)
                assert event["type"] != "error", event
                if event["type"] == type:
                    return event


@asynccontextmanager
async def openai(url: str, flow: str) -> AsyncIterator[OpenAI]:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    async with client, client.realtime.connect(model="phi") as connection:
        yield OpenAI(connection)


class Agents:
    """``openai-agents``: strict about every event, and runs the tools by itself."""

    def __init__(self, session: Any) -> None:
        self.events: list[Event] = []
        self._session = session
        self._coming = session.__aiter__()

    async def say(self, text: str) -> None:
        await self._session.send_message(text)

    async def show(self, jpeg: bytes, text: str) -> None:
        await self._session.send_message(picture_item(jpeg, text))

    async def speak(self, sound: bytes) -> None:
        for at in range(0, len(sound), PACKET_BYTES):
            await self._session.send_audio(sound[at : at + PACKET_BYTES])

    async def offer_tools(self) -> None:
        """The agent was made with its tool."""

    async def answer_call(self, call: Event) -> None:
        """It does so without being told."""

    async def send(self, event: Event) -> None:
        fields = {name: value for name, value in event.items() if name != "type"}
        message = {"type": event["type"], "other_data": fields}
        await self._session.model.send_event(RealtimeModelSendRawMessage(message=message))

    async def wait(self, type: str) -> Event:
        async with asyncio.timeout(PATIENCE_S):
            async for event in self._coming:
                assert event.type != "error", event.error
                if event.type != "raw_model_event" or event.data.type != "raw_server_event":
                    continue
                raw: Event = event.data.data
                validate_server_event(json.dumps(raw))
                self.events.append(raw)
                if raw["type"] == type:
                    return raw
        raise AssertionError("the session ended")


@asynccontextmanager
async def agents(url: str, flow: str) -> AsyncIterator[Agents]:
    @function_tool  # type: ignore[untyped-decorator]  # its types are not read
    async def get_weather(city: Literal["Berlin", "Paris"]) -> str:
        """The weather of today."""
        # Only one call is demanded: what follows is an answer in words.
        words: Any = {"tool_choice": "none"}
        await session.model.send_event(
            RealtimeModelSendSessionUpdate(session_settings=words)
        )
        return "sunny"

    has_tools = flow == "tool round trip"
    agent = RealtimeAgent(name="Assistant", tools=[get_weather] if has_tools else [])
    settings: Any = {"model_name": "phi"}
    if has_tools:
        settings["tool_choice"] = "required"
    runner = RealtimeRunner(agent, config={"model_settings": settings})
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=phi"
    model: Any = {"url": address, "api_key": "unused"}
    session: Any = await runner.run(model_config=model)
    async with session:
        yield Agents(session)
