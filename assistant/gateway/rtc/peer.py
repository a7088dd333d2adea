"""
One WebRTC connection of one client: set up, one data channel of events, taken down.

Knows sockets and handshakes; what the packets and the events mean is its owner's business.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

from aiortc import RTCDataChannel

from assistant.config import RtcConfig
from assistant.errors import AssistantError
from assistant.gateway.rtc.stack import Dtls, Ice, Sctp
from assistant.wire.sdp import Offer
from assistant.wire.sdp_answer import MAX_MESSAGE_BYTES, Transport

log = logging.getLogger(__name__)

CHANNEL = "oai-events"
MAX_UNREAD_BYTES = 4 * 2**20
"""Received and not looked at yet: who sends faster than it is served is let go."""
MAX_UNSENT_BYTES = 256 * 1024
"""Handed to the association; more waits in the outbox, which has its own bound."""
CLOSE_S = 2.0
DRAIN_POLL_S = 0.02


class PeerFailed(AssistantError):
    """The connection could not be made, or the peer broke the rules."""


class EventChannel:
    """The data channel that carries the events, with bounds in both directions."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._received: deque[str | bytes] = deque()
        self._num_bytes = 0
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self.is_open = True
        channel.bufferedAmountLowThreshold = MAX_UNSENT_BYTES // 2
        channel.on("message", self._receive)
        channel.on("close", self._close)
        channel.on("bufferedamountlow", self._has_room.set)

    async def receive(self) -> str | bytes | None:
        """
        Return the next message, None once the channel is closed. Cancelling loses nothing.

        Raises:
            PeerFailed: More is unread than the bound.
        """
        while not self._received:
            if not self.is_open:
                return None
            self._changed.clear()
            await self._changed.wait()
        if self._num_bytes > MAX_UNREAD_BYTES:
            raise PeerFailed(f"{self._num_bytes} bytes of events are unread")
        message = self._received.popleft()
        self._num_bytes -= len(message)
        return message

    async def send(self, text: str) -> bool:
        """
        Send one event once there is room. Cancelling may leave it unsent.

        Returns False when the channel is closed, or the peer takes no event so large.
        """
        while self.is_open and self._channel.bufferedAmount > MAX_UNSENT_BYTES:
            self._has_room.clear()
            await self._has_room.wait()
        if not self.is_open:
            return False
        try:
            self._channel.send(text)
        except ValueError:
            log.warning("an event of %d characters is more than the peer takes", len(text))
            return False
        return True

    def close(self) -> None:
        if self.is_open:
            self._channel.close()

    def _receive(self, message: str | bytes) -> None:
        self._num_bytes += len(message)
        if self._num_bytes <= MAX_UNREAD_BYTES + MAX_MESSAGE_BYTES:
            self._received.append(message)
        self._changed.set()

    def _close(self) -> None:
        self.is_open = False
        self._changed.set()
        self._has_room.set()


class Peer:
    """The connection that one offer asks for."""

    def __init__(
        self,
        rtc: RtcConfig,
        offer: Offer,
        receive_rtp: Callable[[bytes], None],
        receive_rtcp: Callable[[bytes], None],
    ) -> None:
        self._offer = offer
        self._ice = Ice(
            addresses=rtc.addresses,
            announced=rtc.announced_address,
            ports=range(rtc.min_port, rtc.max_port + 1) if rtc.min_port else (),
            vanished_s=rtc.vanished_s,
        )
        self._dtls = Dtls(self._ice, receive_rtp, receive_rtcp)
        self._sctp = Sctp(self._dtls) if offer.has_channel else None
        self._channel: asyncio.Future[EventChannel] = asyncio.Future()
        if self._sctp is not None:
            self._sctp.on("datachannel", self._take_channel)

    async def gather(self) -> Transport:
        """Open the sockets; return what an answer says of them. Raises NoPort."""
        await self._ice.gather_candidates()
        return Transport(
            username=self._ice.local_username,
            password=self._ice.local_password,
            fingerprints=self._dtls.fingerprints(),
            candidates=self._ice.candidates(),
        )

    async def connect(self) -> None:
        """
        Wait for the peer and shake hands. Cancelling leaves it half done: ``close`` it.

        Raises:
            PeerFailed: It is not the one that made the offer, or left.
        """
        offer = self._offer
        try:
            await self._ice.connect_to(offer.username, offer.password)
        except ConnectionError as error:
            raise PeerFailed(str(error)) from error
        if not await self._dtls.shake_hands(offer.answered_setup, offer.fingerprints):
            raise PeerFailed("the DTLS handshake failed")
        if self._sctp is not None:
            await self._sctp.open(offer.sctp_port, offer.max_message_bytes)

    async def channel(self) -> EventChannel:
        """Wait for the channel of the events."""
        return await asyncio.shield(self._channel)

    async def ended(self) -> None:
        """Wait until the peer has closed or vanished."""
        await self._dtls.ended.wait()

    @property
    def is_vanished(self) -> bool:
        """True when it fell silent, rather than said good-bye."""
        return self._ice.is_vanished

    async def drained(self) -> None:
        """Wait until the peer has acknowledged all that was sent to it."""
        while self._sctp is not None and not self._sctp.is_drained:  # noqa: ASYNC110 # no event says so
            await asyncio.sleep(DRAIN_POLL_S)

    async def send(self, data: bytes) -> None:
        """Send RTP or RTCP."""
        await self._dtls.send_media(data)

    async def close(self) -> None:
        """Let go of everything, saying good-bye if somebody is there."""
        for stop in (self._stop_channels, self._dtls.stop, self._ice.close):
            # Each of them sends something at most; none is to keep the others waiting.
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(CLOSE_S):
                    await stop()
        self._channel.cancel()

    async def _stop_channels(self) -> None:
        if self._sctp is not None:
            await self._sctp.stop()

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == CHANNEL and not self._channel.done():
            self._channel.set_result(EventChannel(channel))
        else:
            channel.close()
