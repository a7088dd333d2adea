"""A service in this process that answers the terminal client without listening."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

ANSWER: tuple[dict[str, Any], ...] = (
    {"type": "response.created"},
    {"type": "response.output_text.delta", "delta": "A red "},
    {"type": "response.output_text.delta", "delta": "cup."},
    {"type": "response.done", "response": {"status": "completed"}},
)


@dataclass
class FakeService:
    """Answers a request, or sound that has been silent again, with ``answer``."""

    answer: tuple[dict[str, Any], ...] = ANSWER
    key: str = ""
    closes_at_once: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the received events of one type."""
        return [event for event in self.received if event["type"] == kind]

    async def talk(self, socket: ServerConnection) -> None:
        """Hold one conversation."""
        await send(socket, {"type": "session.created", "session": {}})
        if self.closes_at_once:
            await socket.close(1013, "too many sessions")
            return
        was_loud = False
        async for message in socket:
            event = json.loads(message)
            self.received.append(event)
            if event["type"] == "response.create":
                await send(socket, *self.answer)
            if event["type"] == "input_audio_buffer.append":
                is_loud = event["audio"].strip("A=") != ""
                if is_loud and not was_loud:
                    await send(socket, {"type": "input_audio_buffer.speech_started"})
                if was_loud and not is_loud:
                    await send(socket, {"type": "input_audio_buffer.speech_stopped"})
                    await send(socket, *self.answer)
                was_loud = is_loud

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse whoever shows no key."""
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no key")
        return None


@asynccontextmanager
async def serving(service: FakeService) -> AsyncIterator[Server]:
    """Serve on a free port of this machine."""
    async with serve(
        service.talk, "127.0.0.1", 0, process_request=service.admit, compression=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        service.address = f"ws://127.0.0.1:{port}/v1/realtime"
        yield server


async def send(socket: ServerConnection, *events: dict[str, Any]) -> None:
    """Send events one by one."""
    for event in events:
        await socket.send(json.dumps(event))


def run_with(service: FakeService, talk: Callable[[], Any]) -> None:
    """Serve while ``talk()`` runs."""

    async def both() -> None:
        async with serving(service), asyncio.timeout(10):
            await talk()

    asyncio.run(both())
