"""WebRTC calls of the whole service: what its end means for those that are open."""

import asyncio
import time

import pytest

from tests.bench.webrtc_calls import post
from tests.gateway.rtc.caller import Caller, Recording
from tests.service.harness import RunningService, running
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.service

EXIT_S = 20.0
"""Less than aiortc, left to itself, waits for a peer that has vanished: 30 s."""


async def opened(service: RunningService, caller: Caller) -> None:
    answer = await asyncio.to_thread(post, service.url, await caller.offer())
    await caller.accept(answer)
    await caller.is_open.wait()


def test_a_signal_ends_open_calls_with_a_word_to_their_peers_and_then_the_service(
    arguments: tuple[str, ...],
) -> None:
    async def scenario(service: RunningService) -> None:
        async with Caller(Recording(b"")) as talking, Caller() as silent, Caller() as lost:
            async with asyncio.timeout(PATIENCE_S):
                for caller in (talking, silent, lost):
                    await opened(service, caller)
            lost.vanish()
            began = time.monotonic()
            assert await asyncio.to_thread(service.stop) == 0
            assert time.monotonic() - began < EXIT_S
            async with asyncio.timeout(PATIENCE_S):
                await talking.is_closed.wait()
                await silent.is_closed.wait()

    with running(*arguments) as service:
        asyncio.run(scenario(service))
