"""Third parties and hostile offers around real set-ups."""

import asyncio
import re
import socket
from pathlib import Path

from starlette.types import ASGIApp

from tests.gateway.asgi import Exchange
from tests.gateway.fakes import run
from tests.gateway.places import place
from tests.gateway.rtc.caller import PATH, Caller
from tests.gateway.rtc.test_line import end
from tests.gateway.rtc.test_stack import ALERT

CLIENT_HELLO = bytes.fromhex("16feff00000000000000000010010000040000000000000004fefd0000")
RTP = b"\x80\x6f\x00\x01" + bytes(40)
HEADERS = {"content-type": "application/sdp"}
CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.IGNORECASE)


async def posted(caller: Caller, app: ASGIApp, offer: str) -> str:
    async with Exchange(app, PATH, offer.encode(), headers=HEADERS) as exchange:
        await exchange.task
    assert exchange.status == 201, exchange.body
    caller.location = exchange.headers["location"]
    return exchange.body.decode()


def test_what_third_parties_send_into_a_set_up_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at, Caller() as caller:
            answer = await posted(caller, at.app, await caller.offer())
            targets = {(host, int(port)) for host, port in CANDIDATE.findall(answer)}
            stop = asyncio.Event()

            async def disturb() -> None:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as intruder:
                    while not stop.is_set():
                        for data in (ALERT, CLIENT_HELLO, RTP):
                            for target in targets:
                                if "." in target[0]:
                                    intruder.sendto(data, target)
                        await asyncio.sleep(0.005)

            disturbing = asyncio.create_task(disturb())
            await caller.accept(answer)
            await caller.until("session.created")
            stop.set()
            await disturbing
            await end(at, caller)

    run(scenario())


def test_nothing_is_sent_to_where_an_offer_points(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
            victim.bind(("127.0.0.1", 0))
            victim.setblocking(False)
            port = victim.getsockname()[1]
            lines = "".join(
                f"a=candidate:{n} 1 udp {2**31 - n} 127.0.0.1 {port} typ host\r\n"
                for n in range(1, 20)
            )
            async with place(tmp_path) as at, Caller() as caller:
                offer = (await caller.offer()).replace("a=setup:", lines + "a=setup:", 1)
                await caller.accept(await posted(caller, at.app, offer))
                await caller.until("session.created")
                await end(at, caller)
            try:
                heard = victim.recv(2000)
            except BlockingIOError:
                heard = b""
            assert heard == b""

    run(scenario())


def test_calls_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(tmp_path) as at:
            before = len(asyncio.all_tasks())
            for _ in range(3):
                caller = Caller()
                await caller.call(at.app)
                await end(at, caller)
            await asyncio.sleep(0.1)
            assert len(asyncio.all_tasks()) <= before

    run(scenario())
