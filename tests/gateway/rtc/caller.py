"""A WebRTC client made of stock aiortc, to call a service in the same process."""

import asyncio
import json
import time
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soxr
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame
from starlette.types import ASGIApp

from assistant.media.recordings import read_audio
from tests.gateway.asgi import Exchange
from tests.wire import emitted

PATH = "/v1/realtime/calls"
RECORDING = (
    Path(__file__).parents[2]
    / "data"
    / "speech"
    / "google_how_old_is_the_brooklyn_bridge.wav"
)
FRAME_SAMPLES = 960


def speech_48k() -> bytes:
    """Return a short question, PCM16 at 48 kHz."""
    samples = soxr.resample(read_audio(RECORDING), 16_000, 48_000)
    data: bytes = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return data


class Recording(MediaStreamTrack):
    """A microphone that hears a recording, then silence."""

    kind = "audio"

    def __init__(self, pcm: bytes) -> None:
        super().__init__()
        self._pcm = pcm
        self._number = 0
        self._began = time.monotonic()

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when they are due."""
        due = self._began + self._number * FRAME_SAMPLES / 48_000
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        size = 2 * FRAME_SAMPLES
        data = self._pcm[self._number * size : (self._number + 1) * size].ljust(size, b"\0")
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(data)
        frame.sample_rate = 48_000
        frame.pts = self._number * FRAME_SAMPLES
        frame.time_base = Fraction(1, 48_000)
        self._number += 1
        return frame


class Caller:
    """One peer with the channel of the events, and tracks if it is given some."""

    def __init__(self, *tracks: MediaStreamTrack, label: str = "oai-events") -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for track in tracks:
            self.peer.addTrack(track)
        self.channel = self.peer.createDataChannel(label)
        self.is_open = asyncio.Event()
        self.is_closed = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self._came = asyncio.Condition()
        self._arriving: set[asyncio.Task[None]] = set()
        self.channel.on("open", self.is_open.set)
        self.channel.on("close", self.is_closed.set)
        self.channel.on("message", self._receive)
        self.location = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def call(self, app: ASGIApp, query: str = "", key: str = "") -> None:
        """Call the service, until the channel is open."""
        headers = {"content-type": "application/sdp"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        body = (await self.offer()).encode()
        async with Exchange(app, PATH, body, headers=headers, query=query) as posted:
            await posted.task
        assert posted.status == 201, posted.body
        self.location = posted.headers["location"]
        await self.accept(posted.body.decode())
        await self.is_open.wait()

    def send(self, kind: str, **keys: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **keys}))

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th event of a kind."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["type"] == kind]

        async with self._came:
            await self._came.wait_for(lambda: len(found()) >= count)
        return found()[count - 1]

    def vanish(self) -> None:
        """Go without a word: nothing is sent any more, and nothing is heard."""
        transport = self.peer.sctp
        assert transport is not None
        ice = transport.transport.transport._connection
        for protocol in ice._protocols:
            protocol.transport.abort()

    async def close(self) -> None:
        await self.peer.close()

    def _receive(self, message: str) -> None:
        emitted.note(message)
        self.events.append(json.loads(message))
        task = asyncio.get_running_loop().create_task(self._notify())
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _notify(self) -> None:
        async with self._came:
            self._came.notify_all()
