"""A camera's track: looked at while somebody speaks or asks, and not before."""

import asyncio
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiortc import MediaStreamTrack
from av import VideoFrame

from assistant.wire import link
from tests.gateway.fakes import FakeEngine, run
from tests.gateway.places import place
from tests.gateway.rtc.caller import Caller, Recording, speech_48k
from tests.gateway.rtc.test_line import QUESTION, end

pytestmark = pytest.mark.service

FRAMES_PER_S = 10
RED = (230, 20, 30)


class Camera(MediaStreamTrack):
    """Shows red."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.num_shown = 0
        self._began = time.monotonic()

    async def recv(self) -> VideoFrame:
        """Return the next frame when it is due."""
        due = self._began + self.num_shown / FRAMES_PER_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        frame = VideoFrame.from_ndarray(np.full((120, 160, 3), RED, np.uint8), "rgb24")
        frame.pts = self.num_shown * 90_000 // FRAMES_PER_S
        frame.time_base = Fraction(1, 90_000)
        self.num_shown += 1
        return frame


def pictures(engine: FakeEngine) -> list[bytes]:
    """Return the pictures that the engine was given."""
    parts = [part for order in engine.of(link.Append) for part in order.parts]
    return [part.data for part in parts if isinstance(part, link.ImagePart)]


async def num_sent(caller: Caller) -> int:
    """Return how many packets of pictures have left."""
    reports = (await caller.peer.getStats()).values()
    return sum(
        report.packetsSent
        for report in reports
        if report.type == "outbound-rtp" and report.kind == "video"
    )


def is_red(jpeg: bytes) -> bool:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    blue, green, red = picture.reshape(-1, 3).mean(axis=0)
    return bool(red > 180 and green < 80 and blue < 80)


def test_what_the_camera_shows_is_read_with_what_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            place(tmp_path) as at,
            Caller(Recording(speech_48k()), Camera()) as caller,
        ):
            await caller.call(at.app)
            await caller.until("input_audio_buffer.committed")
            while not at.engine.of(link.Generate):  # noqa: ASYNC110 # the second one
                await asyncio.sleep(0.02)
            assert is_red(pictures(at.engine)[0])
            await end(at, caller)

    run(scenario())


def test_a_written_question_is_asked_with_what_the_camera_shows_then(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        camera = Camera()
        async with place(tmp_path) as at, Caller(camera) as caller:
            await caller.call(at.app)
            while await num_sent(caller) < FRAMES_PER_S:  # noqa: ASYNC110 # not ours
                await asyncio.sleep(0.02)
            assert pictures(at.engine) == [], "nobody has asked"
            vendor = {"type": "realtime", "assistant": {"events": ["metrics"]}}
            caller.send("session.update", session=vendor)
            caller.send("conversation.item.create", item=QUESTION)
            caller.send("response.create")
            at.engine.answer(await at.generate(), "red")
            done = await caller.until("response.done")
            assert is_red(pictures(at.engine)[0])
            (frame,) = done["response"]["assistant"]["frames"]
            assert frame["used"]
            await end(at, caller)

    run(scenario())
