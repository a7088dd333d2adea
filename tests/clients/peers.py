"""The stock clients in Python, each as a ``Peer`` of the flows."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import FunctionTool
from agents.realtime import RealtimeAgent, RealtimeModelSendRawMessage, RealtimeRunner
from openai import AsyncOpenAI

from tests.clients.flows import Event, Flow, filled_in, picture_item, text_item
from tests.waiting import PATIENCE_S
from tests.wire.validators import validate_server_event

PACKET_BYTES = 4800  # 100 ms


class OpenAI:
    """``openai``: every event is an object of its types; here it stays what came."""

    def __init__(self, connection: Any) -> None:
        self.events: list[Event] = []
        self._connection = connection

    async def say(self, text: str) -> None:
        await self._ask(text_item(text))

    async def show(self, url: str, text: str) -> None:
        await self._ask(picture_item(url, text))

    async def speak(self, sound: str) -> None:
        data = base64.b64decode(sound)
        for at in range(0, len(data), PACKET_BYTES):
            packet = base64.b64encode(data[at : at + PACKET_BYTES]).decode()
            await self._connection.input_audio_buffer.append(audio=packet)

    async def answer_call(self, output: str) -> None:
        (call,) = self.events[-1]["response"]["output"]
        item = {"type": "function_call_output", "call_id": call["call_id"]}
        await self._ask(item | {"output": output})

    async def send(self, event: Event) -> None:
        await self._connection.send(filled_in(event, self.events))

    async def wait(self, type: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data = await self._connection.recv_bytes()
                validate_server_event(data)
                self._connection.parse_event(data)
                event: Event = json.loads(data)
                self.events.append(event)
                assert event["type"] != "error", event
                if event["type"] == type:
                    return

    async def _ask(self, item: Event) -> None:
        await self._connection.conversation.item.create(item=item)
        await self._connection.response.create()


@asynccontextmanager
async def openai(url: str, flow: Flow) -> AsyncIterator[OpenAI]:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    async with client, client.realtime.connect(model="phi") as connection:
        if flow.tools:
            session: Any = {"type": "realtime", "tools": list(flow.tools)}
            await connection.session.update(session=session)
        yield OpenAI(connection)


class Agents:
    """``openai-agents``: strict about every event, and runs the tools by itself."""

    def __init__(self, session: Any) -> None:
        self.events: list[Event] = []
        self._session = session
        self._coming = session.__aiter__()

    async def say(self, text: str) -> None:
        await self._session.send_message(text)

    async def show(self, url: str, text: str) -> None:
        await self._session.send_message(picture_item(url, text))

    async def speak(self, sound: str) -> None:
        data = base64.b64decode(sound)
        for at in range(0, len(data), PACKET_BYTES):
            await self._session.send_audio(data[at : at + PACKET_BYTES])

    async def answer_call(self, output: str) -> None:
        """It does so without being told."""

    async def send(self, event: Event) -> None:
        event = filled_in(event, self.events)
        fields = {name: value for name, value in event.items() if name != "type"}
        message = {"type": event["type"], "other_data": fields}
        await self._session.model.send_event(RealtimeModelSendRawMessage(message=message))

    async def wait(self, type: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            async for event in self._coming:
                assert event.type != "error", event.error
                if event.type != "raw_model_event" or event.data.type != "raw_server_event":
                    continue
                raw: Event = event.data.data
                validate_server_event(json.dumps(raw))
                self.events.append(raw)
                if raw["type"] == type:
                    return
        raise AssertionError("the session ended")


@asynccontextmanager
async def agents(url: str, flow: Flow) -> AsyncIterator[Agents]:
    agent = RealtimeAgent(name="Assistant", tools=[_tool(t, flow) for t in flow.tools])
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": "phi"}})
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=phi"
    model: Any = {"url": address, "api_key": "unused"}
    session: Any = await runner.run(model_config=model)
    async with session:
        yield Agents(session)


def _tool(declared: dict[str, Any], flow: Flow) -> FunctionTool:
    async def run(context: Any, arguments: str) -> str:
        json.loads(arguments)
        return flow.result

    return FunctionTool(
        name=declared["name"],
        description=declared["description"],
        params_json_schema=declared["parameters"],
        on_invoke_tool=run,
        strict_json_schema=False,
    )
