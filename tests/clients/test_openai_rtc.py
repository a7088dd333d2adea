"""The stock ``openai`` client opens WebRTC calls; a stock aiortc peer speaks in them."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.clients.test_openai import client_of
from tests.gateway.rtc.caller import Caller, Recording, speech_48k
from tests.service.harness import SPOKEN_TURN, RunningService, is_subsequence
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.clients


def num_sessions(service: RunningService) -> int:
    number: int = service.get("/health")["sessions"]
    return number


def called(
    service: RunningService,
    caller_of: Callable[[], Caller],
    scenario: Callable[[AsyncOpenAI, Caller], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        caller = caller_of()
        try:
            async with asyncio.timeout(PATIENCE_S), client_of(service) as client:
                await scenario(client, caller)
        finally:
            await caller.close()

    asyncio.run(run())
    assert num_sessions(service) == 0


def test_a_call_made_with_a_form_is_spoken_in_and_hung_up(service: RunningService) -> None:
    async def scenario(client: AsyncOpenAI, caller: Caller) -> None:
        session: Any = {"type": "realtime", "instructions": "Be brief."}
        answer = await client.realtime.calls.create(
            sdp=await caller.offer(), session=session
        )
        await caller.accept(answer.text)
        created = await caller.until("session.created")
        assert created["session"]["instructions"] == "Be brief."
        await caller.until("response.done")
        types = [event["type"] for event in caller.events]
        assert is_subsequence(SPOKEN_TURN, types)
        call_id = answer.response.headers["location"].rpartition("/")[2]
        await client.realtime.calls.hangup(call_id)
        await caller.is_closed.wait()

    called(service, lambda: Caller(Recording(speech_48k())), scenario)


def test_an_offer_alone_opens_a_call_that_a_sideband_hears(service: RunningService) -> None:
    async def scenario(client: AsyncOpenAI, caller: Caller) -> None:
        answer = await client.realtime.calls.create(sdp=await caller.offer())
        await caller.accept(answer.text)
        await caller.is_open.wait()
        call_id = answer.response.headers["location"].rpartition("/")[2]
        async with client.realtime.connect(call_id=call_id) as sideband:
            await sideband.session.update(
                session={"type": "realtime", "instructions": "From beside."}
            )
            heard = await caller.until("session.updated")
            assert heard["session"]["instructions"] == "From beside."
        caller.send("response.create", response={"max_output_tokens": 4})
        await caller.until("response.done")
        await caller.close()
        while await asyncio.to_thread(num_sessions, service):  # noqa: ASYNC110 # not ours
            await asyncio.sleep(0.1)

    called(service, Caller, scenario)


def test_a_whip_client_sends_its_offer_as_it_is_and_deletes_the_call(
    service: RunningService,
) -> None:
    async def scenario(client: AsyncOpenAI, caller: Caller) -> None:
        def ask(path: str, method: str, body: bytes = b"") -> tuple[int, str, str]:
            request = urllib.request.Request(service.url + path, body, method=method)
            request.add_header("content-type", "application/sdp")
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                location = answer.headers.get("location") or ""
                return answer.status, location, answer.read().decode()

        offer = (await caller.offer()).encode()
        status, location, answer = await asyncio.to_thread(
            ask, "/v1/realtime/calls", "POST", offer
        )
        assert status == 201
        await caller.accept(answer)
        await caller.is_open.wait()
        assert json.dumps(caller.events)
        assert (await asyncio.to_thread(ask, location, "DELETE"))[0] == 200
        await caller.is_closed.wait()

    called(service, lambda: Caller(Recording(b"")), scenario)
