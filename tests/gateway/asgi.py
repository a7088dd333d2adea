"""One HTTP request to an application, by hand, with a client that may leave."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message

from assistant.gateway.connection import ABORT


class Exchange:
    """Runs the application on one request while the block lasts."""

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        body: dict[str, Any] | bytes | None = None,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        query: str = "",
        is_whole: bool = True,
    ) -> None:
        self._app = app
        data = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait(
            {"type": "http.request", "body": data, "more_body": not is_whole}
        )
        self._scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in (headers or {}).items()
            ],
            "extensions": {ABORT: self._abort},
        }
        self._came = asyncio.Condition()
        self.is_reading = True
        """False: what is sent does not leave."""
        self.num_aborted = 0
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_complete = False

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def answer(self) -> dict[str, Any]:
        """Wait for the whole answer and return it."""
        await self.task
        told: dict[str, Any] = json.loads(self.body)
        return told

    async def until(self, text: bytes) -> None:
        """Wait until the answer holds this."""
        async with self._came:
            await self._came.wait_for(lambda: text in self.body)

    def send_rest(self, body: bytes) -> None:
        """Send what was missing of the body."""
        self._incoming.put_nowait({"type": "http.request", "body": body})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    def events(self) -> list[Any]:
        """Return what the stream held so far."""
        datas = [part.removeprefix("data: ") for part in self.body.decode().split("\n\n")]
        return [data if data == "[DONE]" else json.loads(data) for data in datas if data]

    async def _run(self) -> None:
        # Of its own task, as under uvicorn.
        await self._app(self._scope, self._incoming.get, self._receive)

    async def _receive(self, message: Message) -> None:
        if not self.is_reading:
            await asyncio.Event().wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode().lower(): value.decode() for name, value in message["headers"]
            }
        else:
            self.body += message.get("body", b"")
            self.is_complete = not message.get("more_body", False)
        async with self._came:
            self._came.notify_all()

    def _abort(self) -> None:
        self.num_aborted += 1


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
