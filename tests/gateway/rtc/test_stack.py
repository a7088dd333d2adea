"""Our end of aiortc and aioice: what is bent still bends, and holds."""

import asyncio
import inspect
import random
import socket
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any

import pytest
from aioice import Candidate, Connection, stun
from aioice.ice import CandidatePair, StunProtocol
from aiortc import RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcdtlstransport import RTCCertificate, State

from assistant.gateway.rtc import stack
from assistant.gateway.rtc.stack import MAX_DATAGRAMS, Dtls, Ice, NoPort, Sctp

PEER = ("192.0.2.9", 4000)
STRANGER = ("192.0.2.66", 6666)
ALERT = bytes.fromhex("15fefd00000000000000000002022a")
"""A DTLS record: fatal alert, no certificate."""


def names(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_versions_are_those_that_were_read() -> None:
    for package, expected in stack.VERSIONS.items():
        assert version(package).startswith(expected + ".")


@pytest.mark.parametrize(
    ("ours", "theirs", "methods"),
    [
        (stack._Socket, StunProtocol, ["datagram_received"]),
        (
            Ice,
            Connection,
            [
                "get_component_candidates",
                "check_incoming",
                "check_complete",
                "respond_error",
                "data_received",
                "query_consent",
            ],
        ),
        (
            Dtls,
            RTCDtlsTransport,
            ["_handle_rtp_data", "_handle_rtcp_data", "_set_state"],
        ),
        (Sctp, RTCSctpTransport, ["_handle_data", "_receive_data_chunk"]),
        (stack._Certificate, RTCCertificate, ["_create_ssl_context"]),
    ],
)
def test_what_is_overridden_is_still_there_and_takes_the_same(
    ours: type, theirs: type, methods: list[str]
) -> None:
    for method in methods:
        original = getattr(theirs, method)
        overriding = getattr(ours, method)
        assert overriding is not original
        assert names(overriding) == names(original), method
        is_async = inspect.iscoroutinefunction(original)
        assert inspect.iscoroutinefunction(overriding) == is_async


def test_what_is_reached_into_is_still_there() -> None:
    async def scenario() -> None:
        ice = Ice()
        dtls = Dtls(ice, print, print)
        sctp = Sctp(dtls)
        for owner, fields in (
            (ice, "_check_list _nominated _protocols _queue _remote_candidates"),
            (ice, "_query_consent_task _closing _early_checks"),
            (sctp, "_advertised_rwnd _data_channel_queue _data_channels"),
            (sctp, "_outbound_queue _sent_queue"),
            (dtls, "_ssl _task _role"),
        ):
            for field in fields.split():
                assert hasattr(owner, field), field
        assert sctp.is_drained
        assert {State.CLOSED, State.FAILED} <= set(State)
        assert "SUCCEEDED" in CandidatePair.State.__members__

    asyncio.run(scenario())


class Wire:
    """A socket of an agent without a network: collects what would be sent."""

    def __init__(self) -> None:
        self.ice = Ice()
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.socket = stack._Socket(self.ice)
        self.socket.transport = self  # type: ignore[assignment] # stands in for one
        self.socket.local_candidate = stack._candidate("192.0.2.1", 1000)

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sent.append((data, addr))

    def receive(self, data: bytes, addr: tuple[str, int] = STRANGER) -> None:
        self.socket.datagram_received(data, addr)

    @property
    def num_taken(self) -> int:
        return self.ice._queue.qsize()


def wired(scenario: Callable[[Wire], None]) -> None:
    async def run() -> None:
        scenario(Wire())

    asyncio.run(run())


def check(ice: Ice, password: str | None = None) -> stun.Message:
    message = stun.Message(
        message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST
    )
    message.attributes["USERNAME"] = f"{ice.local_username}:peer"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    message.add_message_integrity((password or ice.local_password).encode())
    return message


def test_data_counts_only_from_an_address_that_a_check_has_validated() -> None:
    def scenario(wire: Wire) -> None:
        wire.receive(ALERT, PEER)
        assert (wire.num_taken, wire.ice.num_dropped) == (0, 1)
        wire.ice.validated.add(PEER)
        wire.receive(ALERT, STRANGER)
        wire.receive(ALERT, PEER)
        wire.receive(b"", PEER)
        assert (wire.num_taken, wire.ice.num_dropped) == (1, 2)

    wired(scenario)


def test_a_check_is_answered_only_when_it_knows_our_password() -> None:
    def scenario(wire: Wire) -> None:
        wire.receive(bytes(check(wire.ice, "wrong" * 6)))
        bare = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        wire.receive(bytes(bare))
        assert wire.sent == []
        wire.receive(bytes(check(wire.ice)), PEER)
        ((_, answered),) = wire.sent
        assert answered == PEER

    wired(scenario)


def test_malformed_checks_are_dropped_whatever_is_wrong_with_them() -> None:
    def scenario(wire: Wire) -> None:
        dice = random.Random(3)
        whole = bytes(check(wire.ice))
        for _ in range(2000):
            data = bytearray(whole)
            for _ in range(dice.randint(1, 6)):
                data[dice.randrange(1, len(data))] = dice.randrange(256)
            wire.receive(bytes(data[: dice.randint(1, len(data))]))
        assert wire.num_taken == 0

    wired(scenario)


def test_waiting_datagrams_are_bounded_and_the_oldest_are_dropped() -> None:
    def scenario(wire: Wire) -> None:
        wire.ice.validated.add(PEER)
        for number in range(MAX_DATAGRAMS + 10):
            wire.receive(b"\x80" + number.to_bytes(2, "big"), PEER)
        assert wire.num_taken == MAX_DATAGRAMS
        first = wire.ice._queue.get_nowait()
        assert first is not None
        assert int.from_bytes(first[0][1:], "big") == 10

    wired(scenario)


def test_addresses_of_one_peer_are_bounded() -> None:
    def scenario(wire: Wire) -> None:
        wire.ice._early_checks_done = True
        wire.ice.remote_username, wire.ice.remote_password = "peer", "p" * 22
        checked: list[Candidate] = []
        wire.ice.check_start_task = (  # type: ignore[method-assign] # nothing is sent
            lambda pair: checked.append(pair.remote_candidate)
        )
        for port in range(1000, 1000 + 3 * stack.MAX_PEER_ADDRESSES):
            wire.receive(bytes(check(wire.ice)), (PEER[0], port))
        assert len(checked) == stack.MAX_PEER_ADDRESSES

    wired(scenario)


# --- with sockets ----------------------------------------------------------------------


def with_sockets(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_sockets_take_ports_of_the_range_and_are_announced_as_reached() -> None:
    async def scenario() -> None:
        port = free_port()
        here = ("127.0.0.1",)
        first = Ice(addresses=here, ports=[port], announced="198.51.100.7")
        second = Ice(addresses=here, ports=[port])
        await first.gather_candidates()
        hosts = [candidate.split()[4:6] for candidate in first.candidates()]
        assert hosts == [["198.51.100.7", str(port)], ["127.0.0.1", str(port)]]
        with pytest.raises(NoPort):
            await second.gather_candidates()
        await first.close()
        await second.close()

    with_sockets(scenario())


def test_an_agent_finds_a_peer_that_comes_and_misses_one_that_falls_silent() -> None:
    async def scenario() -> None:
        ours = Ice(addresses=("127.0.0.1",), vanished_s=1.0)
        await ours.gather_candidates()
        theirs = Connection(ice_controlling=True)
        await theirs.gather_candidates()
        theirs._protocols += [await open_socket(theirs)]
        theirs.remote_username = ours.local_username
        theirs.remote_password = ours.local_password
        for candidate in ours.candidates():
            await theirs.add_remote_candidate(Candidate.from_sdp(candidate))
        coming = asyncio.create_task(theirs.connect())
        await ours.connect_to(theirs.local_username, theirs.local_password)
        await coming
        await theirs.send(b"\x80 hello")
        assert await ours.recv() == b"\x80 hello"
        began = time.monotonic()
        for protocol in theirs._protocols:
            protocol.transport.abort()
        with pytest.raises(ConnectionError):
            await ours.recv()
        assert ours.is_vanished
        assert time.monotonic() - began < 5
        await ours.close()
        await theirs.close()

    with_sockets(scenario())


async def open_socket(connection: Connection) -> StunProtocol:
    """Give a stock agent a socket on the loopback address, which it leaves out."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(
        lambda: StunProtocol(connection), local_addr=("127.0.0.1", 0)
    )
    host, port = protocol.transport.get_extra_info("sockname")[:2]
    protocol.local_candidate = stack._candidate(host, port)
    return protocol
