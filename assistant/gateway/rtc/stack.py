"""
The one place that reaches into aiortc 1.16 and aioice 0.13; a test fails when they move.

Used are their ICE agent, DTLS transport and SCTP association, wired to each other without
``RTCPeerConnection``: its receivers start a thread per track that keeps the process
alive, decode through queues without a bound, and stop for ever at the first empty packet.
Here RTP leaves the DTLS transport as it came. What else is changed, and when to drop it:

* Nobody is probed but who proved with a check that it knows our password; candidates of
  an offer are not even read (with them a client makes the server send into its network).
* What is no STUN message counts only from an address that a check has validated: stock,
  15 bytes from anybody fail a DTLS handshake. Malformed STUN, SCTP, RTP and RTCP are
  dropped and counted instead of ending a task.
* A peer that is silent for ``vanished_s`` is gone (stock: 33 s), checked every second.
* Media sockets come from a range of ports, and are announced under another address.
* Queues have bounds: of datagrams, of half messages, of channels.
* RSA certificates of peers are accepted (GStreamer up to 1.22 has no other).
"""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from aioice import Candidate, Connection, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol
from aiortc import (
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile, State
from aiortc.rtcsctptransport import DataChunk
from OpenSSL import SSL

from assistant.errors import AssistantError

VERSIONS = {"aiortc": "1.16", "aioice": "0.13"}

MAX_DATAGRAMS = 256
"""Waiting to be decrypted; the oldest are dropped. At 50 per second of speech and some
hundred of video they are a second's worth, which is too late anyway."""
MAX_PEER_ADDRESSES = 32
"""A client that roams has a handful; each costs a connectivity check."""
MAX_CHANNELS = 8
MAX_HALF_MESSAGES_BYTES = 2 * 2**20
PROBE_S = 1.0
CONSENT_S = 30.0  # RFC 7675 section 5.1
PORT_ATTEMPTS = 64
UDP_BUFFER_BYTES = 256 * 1024

_MALFORMED = (ValueError, LookupError, AssertionError, TypeError, struct.error)
"""What the parsers of both libraries raise at bytes that nobody sends by accident."""

_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)


class NoPort(AssistantError):
    """Every UDP port of the configured range is taken, or no address can be bound."""


class _Socket(StunProtocol):
    """A UDP socket that lets in checks, and else only whom a check has validated."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        ice = cast(Ice, self.receiver)
        assert isinstance(data, bytes)
        if not data:
            return
        is_stun = data[0] < 4  # RFC 7983
        if (addr[0], addr[1]) in ice.validated:
            ice.heard_at = time.monotonic()
        elif not is_stun:
            ice.num_dropped += 1
            return
        if not is_stun:
            ice.data_received(data, 1)
            return
        try:
            super().datagram_received(data, addr)
        except _MALFORMED:
            ice.num_dropped += 1


class Ice(Connection):
    """The ICE agent of one peer; also what its DTLS transport sends and receives by."""

    role = "controlled"

    def __init__(
        self,
        *,
        addresses: Sequence[str] = (),
        announced: str = "",
        ports: Sequence[int] = (),
        vanished_s: float = 5.0,
    ) -> None:
        """
        Args:
            addresses: Of this machine, to open sockets on; none means all.
            announced: Under which they are reached from outside; "" means as they are.
            ports: One of these is taken for each socket; none means any.
            vanished_s: A peer that is silent for as long is gone.
        """
        super().__init__(ice_controlling=False)
        self._addresses = addresses
        self._announced = announced
        self._ports = ports
        self._vanished_s = vanished_s
        self.validated: set[tuple[str, int]] = set()
        """Addresses that answered a check of ours."""
        self.heard_at = time.monotonic()
        self.is_vanished = False
        self.num_dropped = 0
        # What a DTLS transport asks of an RTCIceTransport.
        self._recv, self._send = self.recv, self.send

    async def connect_to(self, username: str, password: str) -> None:
        """
        Wait for the peer to come. Cancelling leaves the sockets open: ``close`` is needed.

        Raises:
            ConnectionError: Closed before the peer came.
        """
        self.remote_username, self.remote_password = username, password
        await self.connect()

    # --- gathering ----------------------------------------------------------------------

    def candidates(self) -> list[str]:
        """Return where the peer may reach us, as an answer says it."""
        own = self.local_candidates
        announced = []
        if self._announced:
            announced = [_candidate(self._announced, c.port) for c in own if "." in c.host]
        return [candidate.to_sdp() for candidate in (*announced, *own)]

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 # the signature is theirs
    ) -> list[Candidate]:
        """Open a socket on each address; raises NoPort when there is none."""
        found = []
        # A machine without a network still reaches itself.
        for address in self._addresses or addresses or ("127.0.0.1",):
            protocol = await self._bind(address)
            if protocol is not None:
                self._protocols.append(protocol)
                host, port = protocol.transport.get_extra_info("sockname")[:2]
                protocol.local_candidate = _candidate(host, port)
                found.append(protocol.local_candidate)
        if not found:
            raise NoPort("no UDP port is free on any address")
        return found

    async def _bind(self, address: str) -> StunProtocol | None:
        loop = asyncio.get_running_loop()
        num_tries = min(PORT_ATTEMPTS, len(self._ports))
        for port in random.sample(self._ports, num_tries) or [0]:
            try:
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: _Socket(self), local_addr=(address, port)
                )
            except OSError:
                continue
            opened = transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
            return protocol
        return None

    # --- who may speak ------------------------------------------------------------------

    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        """A check with our password came: learn its address, unless there are many."""
        is_known = any((c.host, c.port) == addr for c in self._remote_candidates)
        if is_known or len(self._remote_candidates) < MAX_PEER_ADDRESSES:
            super().check_incoming(message, addr, protocol)

    def check_complete(self, pair: CandidatePair) -> None:
        if pair.state is CandidatePair.State.SUCCEEDED:
            self.validated.add(pair.remote_addr)
            self.heard_at = time.monotonic()
        super().check_complete(pair)

    def respond_error(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        protocol: StunProtocol,
        error_code: tuple[int, str],
    ) -> None:
        """Say nothing to who does not know the password: the answer goes to a victim."""
        if error_code[0] in (400, 401):
            self.num_dropped += 1
        else:
            super().respond_error(request, addr, protocol, error_code)

    def data_received(self, data: bytes, component: int) -> None:
        if data[0] < 4:
            self.num_dropped += 1  # STUN that does not parse
            return
        if self._queue.qsize() >= MAX_DATAGRAMS:
            self._queue.get_nowait()
            self.num_dropped += 1
        self._queue.put_nowait((data, component))

    # --- whether it is still there ------------------------------------------------------

    async def query_consent(self) -> None:
        """Close when the peer is silent, or takes what is sent to it without consent."""
        assert self.remote_password is not None
        key = self.remote_password.encode()
        consented_at = probed_at = time.monotonic()
        while True:
            await asyncio.sleep(PROBE_S / 2)
            now = time.monotonic()
            silent_s = now - self.heard_at
            if silent_s >= self._vanished_s or now - consented_at >= CONSENT_S:
                break
            pair = self._nominated.get(1)
            if pair is None or (silent_s < PROBE_S and now - probed_at < CONSENT_S / 6):
                continue
            probed_at = now
            request = self.build_request(pair, nominate=False)
            with contextlib.suppress(stun.TransactionError):
                await pair.protocol.request(request, pair.remote_addr, key, 0)
                consented_at = self.heard_at = time.monotonic()
        self.is_vanished = True
        self._query_consent_task = None  # close() would cancel and await ourselves
        await self.close()


def _candidate(host: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", host)[:32],
        component=1,
        transport="udp",
        priority=candidate_priority(1, "host"),
        host=host,
        port=port,
        type="host",
    )


class _Certificate(RTCCertificate):
    def _create_ssl_context(
        self, srtp_profiles: list[SRTPProtectionProfile]
    ) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(_CIPHERS)
        return context


class Dtls(RTCDtlsTransport):
    """The DTLS transport of one peer; hands out RTP and RTCP as they came, decrypted."""

    def __init__(
        self,
        ice: Ice,
        receive_rtp: Callable[[bytes], None],
        receive_rtcp: Callable[[bytes], None],
    ) -> None:
        certificate = _Certificate.generateCertificate()
        super().__init__(cast(RTCIceTransport, ice), [certificate])
        self._receive_rtp = receive_rtp
        self._receive_rtcp = receive_rtcp
        self.ended = asyncio.Event()
        """Set when the peer has closed, vanished or failed the handshake."""

    def fingerprints(self) -> list[tuple[str, str]]:
        mine = self.getLocalParameters().fingerprints
        return [(f.algorithm, f.value) for f in mine if f.algorithm == "sha-256"]

    async def shake_hands(
        self, setup: str, fingerprints: Sequence[tuple[str, str]]
    ) -> bool:
        """
        Return whether the peer is the one that made the offer.

        Args:
            setup: ``active`` when we are to begin, else ``passive``.
        """
        self._set_role("client" if setup == "active" else "server")
        theirs = [RTCDtlsFingerprint(algorithm=name, value=v) for name, v in fingerprints]
        await self.start(RTCDtlsParameters(fingerprints=theirs))
        return self.state == "connected"

    async def send_media(self, data: bytes) -> None:
        """Encrypt and send RTP or RTCP; without a connection it is dropped."""
        with contextlib.suppress(ConnectionError):
            await self._send_rtp(data)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self._receive_rtp(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self._receive_rtcp(data)

    def _set_state(self, state: State) -> None:
        super()._set_state(state)
        if state in (State.CLOSED, State.FAILED):
            self.ended.set()


class Sctp(RTCSctpTransport):
    """The association that data channels run on; emits ``datachannel``."""

    num_malformed = 0

    async def open(self, port: int, max_message_bytes: int) -> None:
        await self.start(RTCSctpCapabilities(maxMessageSize=max_message_bytes), port)

    @property
    def is_drained(self) -> bool:
        """True when the peer has acknowledged everything."""
        return not (self._data_channel_queue or self._outbound_queue or self._sent_queue)

    async def _handle_data(self, data: bytes) -> None:
        try:
            await super()._handle_data(data)
        except _MALFORMED:
            self.num_malformed += 1
        if len(self._data_channels) > MAX_CHANNELS:
            raise ConnectionError("more channels than anybody needs")

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        await super()._receive_data_chunk(chunk)
        # What is left of the window we gave; a peer that ignores it is not waited for.
        if self._advertised_rwnd < -MAX_HALF_MESSAGES_BYTES:
            raise ConnectionError("fragments without an end")
