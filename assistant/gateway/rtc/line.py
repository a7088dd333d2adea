"""
One client's connection to a call over WebRTC: its events, its media, its end.

One task group per line: two tasks carry events between the data channel and the call, one
sends what the media owes the peer, one watches for the end. Sound is heard as it comes, in
the callback of its packet; pictures are decoded in a thread, and only while somebody speaks
or asks.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from assistant.config import Config
from assistant.gateway.call import Call
from assistant.gateway.outbox import Outbox
from assistant.gateway.rtc.peer import EventChannel, Peer, PeerFailed
from assistant.gateway.rtc.streams import Streams
from assistant.media.frames import Frame, frame_of_pixels
from assistant.media.rtp_video import VideoReceiver, Work
from assistant.wire.sdp import Offer
from assistant.wire.sdp_answer import write_answer

VOICE_EVERY_S = 0.2
"""A page that hears nothing for seven of these knows that its network is gone: so many in
a row are not lost by chance."""
REPORT_EVERY_S = 1.0
MAX_OWED = 64
"""Packets of RTCP that wait to be sent; what does not fit would come too late."""
SOUND_AFTER_S = 0.06
"""So much after an event comes the sound that was made when it was sent: a browser gathers
20 ms, encodes them, and has them in its own hands for some time before that."""
CATCH_UP_S = 0.3
"""The most that an event waits for sound, which may be waiting for a lost packet."""
HEARD_EVERY_S = 0.01
LAST_WORDS_S = 1.0
"""How long what was said last may take to leave before the connection is closed."""


class _Ended(Exception):
    """The line has ended; ``is_final`` unless the client may come back."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


def _first(group: "BaseExceptionGroup[_Ended]") -> _Ended:
    """Return why a line ended, of the reasons that came together."""
    ended = [error for error in group.exceptions if isinstance(error, _Ended)]
    return ended[0] if ended else _Ended("ended", is_final=True)


def _develop(video: VideoReceiver, work: Work) -> Frame | None:
    """Decode a camera's frame; None if it is damaged: the next one will be a key frame."""
    decoded = video.decode(work)
    return None if decoded is None else frame_of_pixels(decoded.rgb)


class Line:
    """A WebRTC connection that leads a call."""

    def __init__(
        self,
        config: Config,
        call: Call,
        offer: Offer,
        outbox: Outbox,
        replaced: asyncio.Event,
    ) -> None:
        self._config = config
        self._call = call
        self._offer = offer
        self._outbox = outbox
        self._replaced = replaced
        self._streams = Streams(offer, config.rtc.video_kbps)
        self._peer = Peer(config.rtc, offer, self._receive_rtp, self._receive_rtcp)
        self._owed: asyncio.Queue[bytes] = asyncio.Queue(MAX_OWED)
        self._wake: asyncio.TimerHandle | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._looking: asyncio.Lock = asyncio.Lock()
        self._looked_at = -1.0

    async def answer(self) -> str:
        """Open the sockets and return the answer to the offer; raises NoPort."""
        try:
            transport = await self._peer.gather()
        except BaseException:
            await self._peer.close()
            raise
        return write_answer(self._offer, transport, self._streams.voice)

    async def run(self, end_call: Callable[[], None]) -> None:
        """
        Serve the peer to its end. Cancelling closes the connection, and the call.

        Args:
            end_call: Is called unless another connection leads the call by then.
        """
        ended = _Ended("cancelled", is_final=True)
        try:
            try:
                # A task of its own, as in ``websocket``: timeouts follow in this one.
                await asyncio.create_task(self._serve())
            except* _Ended as group:
                ended = _first(group)
            finally:
                self._release()
                self._call.audience.leave(self._outbox)
                await self._peer.close()
            self._call.log.info("WebRTC: %s; %s", ended.reason, self._summary())
            if not ended.is_final and not self._replaced.is_set():
                await self._wait_for_return()
        finally:
            if not self._replaced.is_set():
                end_call()

    async def _wait_for_return(self) -> None:
        try:
            async with asyncio.timeout(self._config.rtc.return_s):
                await self._replaced.wait()
        except TimeoutError:
            self._call.log.info("WebRTC: the client did not come back")

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._give_way())
                tasks.create_task(self._heed_end())
                tasks.create_task(self._converse(tasks))
        finally:
            self._tasks = None

    # --- tasks --------------------------------------------------------------------------

    async def _give_way(self) -> NoReturn:
        await self._replaced.wait()
        raise _Ended("another connection has taken over", is_final=True)

    async def _heed_end(self) -> NoReturn:
        """The session has ended; let its last words leave, to who listens."""
        await self._call.ended.wait()
        await asyncio.sleep(LAST_WORDS_S if self._offer.has_channel else 0)
        raise _Ended("the call has ended", is_final=True)

    async def _converse(self, tasks: asyncio.TaskGroup) -> None:
        """Set the connection up, then begin everything that lasts as long as it does."""
        timeout_s = self._config.rtc.setup_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._peer.connect()
        except TimeoutError:
            reason = f"not connected within {timeout_s:g} s"
            raise _Ended(reason, is_final=False) from None
        except PeerFailed as error:
            raise _Ended(str(error), is_final=False) from None
        if self._streams.audio is not None:
            self._call.tracks.catch_up = self._catch_up
        if self._offer.video():
            self._call.tracks.look = self._look
        tasks.create_task(self._watch())
        tasks.create_task(self._report())
        tasks.create_task(self._pay())
        if self._offer.has_channel:
            try:
                async with asyncio.timeout(timeout_s):
                    channel = await self._peer.channel()
            except TimeoutError:
                raise _Ended("the event channel was not opened", is_final=True) from None
            tasks.create_task(self._read(channel))
            tasks.create_task(self._send(channel))

    async def _watch(self) -> NoReturn:
        await self._peer.ended()
        if self._peer.is_vanished:
            raise _Ended("the peer has vanished", is_final=False)
        raise _Ended("the peer has closed", is_final=True)

    async def _read(self, channel: EventChannel) -> None:
        while True:
            # A client that does not read what it asked for is not read either.
            await self._outbox.room()
            try:
                message = await channel.receive()
            except PeerFailed as error:
                raise _Ended(str(error), is_final=True) from None
            if message is None:
                raise _Ended("the event channel was closed", is_final=True)
            if isinstance(message, bytes):
                self._call.receive_binary(self._outbox)
            else:
                await self._call.receive_text(message, self._outbox)

    async def _send(self, channel: EventChannel) -> NoReturn:
        deadline_s = self._config.server.send_deadline_s
        while (outgoing := await self._outbox.get()) is not None:
            try:
                async with asyncio.timeout(deadline_s):
                    await channel.send(outgoing.text)
            except TimeoutError:
                reason = f"nothing was read for {deadline_s:g} s"
                raise _Ended(reason, is_final=True) from None
            if outgoing.timeline is not None:
                self._call.left(outgoing.timeline)
        await self._peer.drained()  # at most for as long as the last words may take
        hang = self._call.hang
        raise _Ended("ended" if hang is None else hang.reason, is_final=True)

    async def _report(self) -> NoReturn:
        reported_at = -REPORT_EVERY_S
        while True:
            now = self._call.now()
            self._owe(self._streams.voice_packet(now), self._streams.key_frame_request(now))
            if now - reported_at >= REPORT_EVERY_S:
                reported_at = now
                self._owe(*self._streams.reports(now))
            self._look_while_wanted(now)  # a watch needs no sound
            await asyncio.sleep(VOICE_EVERY_S)

    async def _pay(self) -> NoReturn:
        while True:
            await self._peer.send(await self._owed.get())

    def _owe(self, *packets: bytes) -> None:
        for packet in packets:
            if packet and not self._owed.full():
                self._owed.put_nowait(packet)

    # --- sound --------------------------------------------------------------------------

    def _receive_rtp(self, data: bytes) -> None:
        now = self._call.now()
        self._owe(self._streams.receive_rtp(data, now))
        self._hear(now)

    def _receive_rtcp(self, data: bytes) -> None:
        self._streams.receive_rtcp(data, self._call.now())

    def _hear(self, now: float) -> None:
        """Pass on the sound that is due; come back when more is, if nothing arrives."""
        audio = self._streams.audio
        if audio is None or self._tasks is None:
            return
        for pcm in audio.due(now):
            self._call.hear(pcm.astype(np.float32) * np.float32(1 / 32768))
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        wake_at = audio.wake_at()
        if wake_at is not None:
            loop = asyncio.get_running_loop()
            self._wake = loop.call_later(max(0.0, wake_at - now), self._hear_later)
        self._look_while_wanted(now)

    def _hear_later(self) -> None:
        self._wake = None
        self._hear(self._call.now())

    async def _catch_up(self) -> None:
        """Hear what was said before now: it is longer under way than an event is."""
        audio = self._streams.audio
        assert audio is not None, "nobody else has sound to wait for"
        now = began = self._call.now()
        while now - began < CATCH_UP_S and audio.is_behind(began + SOUND_AFTER_S, now):
            await asyncio.sleep(HEARD_EVERY_S)
            now = self._call.now()

    # --- pictures -----------------------------------------------------------------------

    def _look_while_wanted(self, now: float) -> None:
        if (
            self._streams.video is not None
            and self._tasks is not None
            and self._call.is_looking
            and now - self._looked_at >= 1 / self._config.rtc.frames_per_s
        ):
            self._looked_at = now
            self._tasks.create_task(self._look())

    async def _look(self) -> None:
        """Give the call what the camera shows now, unless it has seen that already."""
        video = self._streams.video
        if video is None:
            return
        async with self._looking:  # work must be decoded in the order it was taken
            now = self._looked_at = self._call.now()
            work = video.take(now)
            if work is None:
                self._owe(self._streams.key_frame_request(now))
                return
            picture = await asyncio.to_thread(_develop, video, work)
            if picture is not None:
                self._call.see(picture, work.captured_s)

    # --- the end ------------------------------------------------------------------------

    def _release(self) -> None:
        """Let the call have its sound and its pictures from elsewhere."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if not self._replaced.is_set():
            self._call.tracks.drop()

    def _summary(self) -> str:
        network = self._streams.network()
        trip = network.round_trip_ms
        return (
            f"{network.num_packets} packets, {network.num_lost} lost, "
            f"jitter {network.jitter_ms:.0f} ms, "
            f"round trip {'unknown' if trip is None else f'{trip:.0f} ms'}"
        )
