"""
A scripted stand-in for the gateway: serves the page and speaks the event ladders.

It hears by loudness alone and always answers the same words. The timeline and the frame
list that it sends are computed from what really arrived, in the documented shape.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import struct
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

WEB = Path(__file__).parents[2] / "web"
CSP = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' blob: data:; "
    "media-src 'self' blob:; style-src 'self'; script-src 'self'"
)
RATE_HZ = 24_000
LOUD = 0.05
START_CHUNKS = 3
SILENCE_MS = 500
ANSWER = (
    "It opened to traffic in May 1883, so the Brooklyn Bridge has carried people across "
    "the East River for more than a hundred and forty years."
)


@dataclass
class Received:
    """One client event and when it came, in seconds on the monotonic clock."""

    at_s: float
    event: dict[str, Any]


@dataclass
class Script:
    """How the stand-in behaves."""

    words: str = ANSWER
    token_s: float = 0.03
    is_meaningless: bool = False
    accepts: bool = True
    """False refuses every WebSocket, as a server does that wants a key."""


@dataclass
class FakeServer:
    url: str
    script: Script
    received: list[Received] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    """What ``response.done`` carried, in order."""
    subprotocols: list[str] = field(default_factory=list)
    sockets: list["FakeSession"] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the client events of one type, in order of arrival."""
        return [r.event for r in list(self.received) if r.event["type"] == kind]

    def types(self) -> list[str]:
        return [r.event["type"] for r in list(self.received)]

    def hang_up(self) -> None:
        """Drop every connection, as a restarting server does."""
        assert self.loop is not None
        for session in self.sockets:
            asyncio.run_coroutine_threadsafe(session.socket.close(1012), self.loop).result(
                5
            )


class FakeSession:
    """One connection: hears, takes frames, answers."""

    def __init__(self, socket: WebSocket, server: FakeServer) -> None:
        self.socket = socket
        self.server = server
        self.num = itertools.count(1)
        self.num_samples = 0
        self.loud_chunks = 0
        self.quiet_ms = 0.0
        self.item: str | None = None
        self.last_item: str | None = None
        self.is_hands_free = True
        self.frames: list[dict[str, Any]] = []
        self.reply: asyncio.Task[None] | None = None
        self.cancel_reason = ""

    def now_ms(self) -> float:
        return self.num_samples / RATE_HZ * 1000

    async def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"event_{next(self.num)}", **fields}
        await self.socket.send_text(json.dumps(event))

    async def run(self) -> None:
        session = {
            "type": "realtime",
            "id": f"sess_{uuid.uuid4().hex}",
            "model": "phi-4-multimodal",
        }
        await self.send("session.created", session=session)
        while True:
            event = json.loads(await self.socket.receive_text())
            self.server.received.append(Received(time.monotonic(), event))
            await self.receive(event)

    async def receive(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                turn_detection = event["session"]["audio"]["input"]["turn_detection"]
                self.is_hands_free = turn_detection is not None
                await self.send("session.updated", session=event["session"])
            case "input_audio_buffer.append":
                await self.hear(base64.b64decode(event["audio"]))
            case "input_audio_buffer.commit":
                await self.commit(f"item_{next(self.num)}")
            case "input_image_buffer.append":
                self.see(event)
            case "conversation.item.create":
                await self.add_item(event["item"])
            case "response.create":
                self.answer(speech_end_ms=None)
            case "response.cancel":
                await self.cancel("client_cancelled")

    async def hear(self, pcm: bytes) -> None:
        samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
        self.num_samples += len(samples)
        if not self.is_hands_free:
            return
        is_loud = max(map(abs, samples)) / 32768 > LOUD
        self.loud_chunks = self.loud_chunks + 1 if is_loud else 0
        self.quiet_ms = 0 if is_loud else self.quiet_ms + len(samples) / RATE_HZ * 1000
        if self.item is None and self.loud_chunks >= START_CHUNKS:
            self.item = f"item_{next(self.num)}"
            start_ms = max(0, round(self.now_ms() - 300))
            await self.send(
                "input_audio_buffer.speech_started",
                audio_start_ms=start_ms,
                item_id=self.item,
            )
            await self.cancel("turn_detected")
        elif self.item is not None and self.quiet_ms >= SILENCE_MS:
            item, self.item = self.item, None
            end_ms = self.now_ms() - self.quiet_ms
            await self.send(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=round(self.now_ms()),
                item_id=item,
            )
            await self.commit(item)
            self.answer(speech_end_ms=end_ms)

    def see(self, event: dict[str, Any]) -> None:
        jpeg = np.frombuffer(base64.b64decode(event["image"]), np.uint8)
        picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert picture is not None, "not a JPEG"
        height, width = picture.shape[:2]
        self.frames.append(
            {
                "id": f"frame_{next(self.num)}",
                "timestamp_ms": event["timestamp_ms"],
                "captured_ms": self.now_ms(),
                "width": width,
                "height": height,
            }
        )

    async def commit(self, item: str) -> None:
        await self.send(
            "input_audio_buffer.committed", previous_item_id=self.last_item, item_id=item
        )
        await self.add_item(
            {
                "id": item,
                "type": "message",
                "role": "user",
                "content": [{"type": "input_audio", "transcript": None}],
            }
        )

    async def add_item(self, item: dict[str, Any]) -> None:
        item = {**item, "object": "realtime.item", "status": "completed"}
        for kind in ("conversation.item.added", "conversation.item.done"):
            await self.send(kind, previous_item_id=self.last_item, item=item)
        self.last_item = item["id"]

    def answer(self, speech_end_ms: float | None) -> None:
        self.reply = asyncio.get_running_loop().create_task(self.speak(speech_end_ms))

    async def cancel(self, reason: str) -> None:
        if self.reply is None or self.reply.done():
            return
        self.cancel_reason = reason
        self.reply.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.reply

    async def speak(self, speech_end_ms: float | None) -> None:
        committed_ms = self.now_ms()
        response = f"resp_{next(self.num)}"
        item = f"item_{next(self.num)}"
        shell = {"object": "realtime.response", "id": response, "output": []}
        await self.send("response.created", response={**shell, "status": "in_progress"})
        await self.send(
            "response.output_item.added", response_id=response, item={"id": item}
        )
        where = {
            "response_id": response, "item_id": item, "output_index": 0, "content_index": 0,
        }  # fmt: skip
        said = ""
        status, details = "completed", None
        try:
            await asyncio.sleep(0.12)
            for word in self.server.script.words.split(" "):
                delta = word if not said else f" {word}"
                said += delta
                await self.send("response.output_text.delta", delta=delta, **where)
                await asyncio.sleep(self.server.script.token_s)
        except asyncio.CancelledError:
            status = "cancelled"
            details = {"type": "cancelled", "reason": self.cancel_reason}
        if self.socket.client_state is WebSocketState.DISCONNECTED:
            return
        await self.send("response.output_text.done", text=said, **where)
        timeline = self.timeline(speech_end_ms, committed_ms, len(said.split(" ")))
        closed = {
            **shell,
            "status": status,
            "status_details": details,
            "assistant": {"frames": self.paired(), "timeline": timeline},
        }
        self.server.responses.append(closed)
        await self.send("response.done", response=closed)

    def paired(self) -> list[dict[str, Any]]:
        """Offer the last four frames, use one from the middle of the utterance."""
        offered, self.frames = self.frames[-5:-1], []
        chosen = min(1, len(offered) - 1)
        return [
            {
                **frame,
                "used": index == chosen,
                "reason": "newest at the start of speech"
                if index == chosen
                else "not newer",
            }
            for index, frame in enumerate(offered)
        ]

    def timeline(
        self, speech_end_ms: float | None, committed_ms: float, num_words: int
    ) -> dict[str, float | None]:
        soft_end_ms = None if speech_end_ms is None else speech_end_ms + 200
        return {
            "speech_end_ms": speech_end_ms,
            "soft_end_ms": soft_end_ms,
            "hard_end_ms": None if speech_end_ms is None else committed_ms,
            "committed_ms": committed_ms,
            "admitted_ms": committed_ms + 3,
            "first_token_ms": committed_ms + 88,
            "first_byte_ms": committed_ms + 96,
            "done_ms": committed_ms + 96 + 1000 * self.server.script.token_s * num_words,
        }


class CspHeader:
    """Add the page's content security policy to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", CSP.encode()))
            await send(message)

        await self.app(scope, receive, with_header)


def _app(server: FakeServer) -> Starlette:
    async def health(_: Request) -> Response:
        return JSONResponse(
            {
                "status": "ok",
                "model": "phi-4-multimodal",
                "device": "cpu",
                "is_meaningless": server.script.is_meaningless,
            }
        )

    async def ready(_: Request) -> Response:
        return JSONResponse({"status": "ready"})

    async def realtime(socket: WebSocket) -> None:
        server.subprotocols = socket.scope["subprotocols"]
        if not server.script.accepts:
            await socket.close()
            return
        await socket.accept(subprotocol="realtime")
        session = FakeSession(socket, server)
        server.sockets.append(session)
        try:
            await session.run()
        except WebSocketDisconnect:
            server.sockets.remove(session)
            if session.reply is not None:
                session.reply.cancel()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server.loop = asyncio.get_running_loop()
        yield

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(CspHeader)],
        routes=[
            Route("/health", health),
            Route("/ready", ready),
            WebSocketRoute("/v1/realtime", realtime),
            Mount("/", StaticFiles(directory=WEB, html=True)),
        ],
    )


@contextlib.contextmanager
def serve(script: Script | None = None) -> Iterator[FakeServer]:
    """Run the stand-in on a free port of the loopback interface."""
    server = FakeServer("", script or Script())
    config = uvicorn.Config(
        _app(server),
        port=0,
        log_level="warning",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    listener = config.bind_socket()
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    service = uvicorn.Server(config)
    thread = threading.Thread(target=service.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        service.should_exit = True
        thread.join(10)
        listener.close()
