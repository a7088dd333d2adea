"""
A peer's camera: RTP packets in, a picture out when somebody wants to see one.

Encoded frames are kept, not decoded (``frame_ring.py``). ``take`` says what must be
decoded to see what was there at a time, ``decode`` does it and may run in a thread;
``frame_at`` is both. Everything else runs inline on the event loop.

A frame's size is read before a decoder sees it: VP8 allows 16383x16383 in a few bytes.
Nothing that comes from the network raises; it is counted.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from assistant.media import h264, vp8
from assistant.media.frame_assembly import EncodedFrame, Fragment, FrameAssembler
from assistant.media.frame_ring import FrameRing
from assistant.media.frames import Rgb
from assistant.media.rtp_clock import PeerClock, StreamClock
from assistant.media.video_decoder import VideoCodec, VideoDecoder

CLOCK_HZ = 90_000
"""Of every video payload (RFC 7741, 4.1; RFC 6184, 5.1)."""
MAX_PIXELS = 2560 * 1440
MAX_EDGE = 1280
"""Of a picture that is handed out. The model looks at crops of 448 pixels."""
KEY_FRAME_EVERY_S = 1.0
"""Key frames are asked for no more often: each is as large as twenty others."""
REFRESH_EVERY_S = 4.0
"""The same, where one would only save time."""


_MAX_PARAMETERS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Codec:
    depacketise: Callable[[bytes], Fragment | None]
    is_key: Callable[[bytes], bool]
    size: Callable[[bytes], tuple[int, int] | None]


_CODECS: dict[VideoCodec, _Codec] = {
    "VP8": _Codec(vp8.depacketise, vp8.is_key, vp8.size),
    "H264": _Codec(h264.depacketise, h264.is_key, h264.size),
}


@dataclass(slots=True)
class VideoStats:
    """What became of one camera's packets and frames."""

    received: int = 0
    """Packets."""
    malformed: int = 0
    """Packets that are none of the codec."""
    forgotten: int = 0
    """Packets of frames that never became whole."""
    frames: int = 0
    """That were whole and could be decoded when asked for."""
    key_frames: int = 0
    unusable: int = 0
    """Whole, but what they build on was gone."""
    oversized: int = 0
    """Larger than ``MAX_PIXELS``, or saying nothing sensible of their size."""
    dropped: int = 0
    """Kept, and dropped because of a bound before anybody asked."""
    decoded: int = 0
    undecodable: int = 0
    """Attempts that met a damaged frame."""
    key_frames_wanted: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded frame."""

    rgb: Rgb
    captured_s: float
    """Session seconds."""


@dataclass(frozen=True, slots=True)
class Work:
    """What it takes to see a frame: all of these, for the last of them."""

    frames: list[bytes]
    captured_s: float


class VideoReceiver:
    """Keeps one camera's frames. Times are session seconds."""

    def __init__(
        self,
        codec: VideoCodec,
        peer: PeerClock | None = None,
        max_pixels: int = MAX_PIXELS,
        max_edge: int = MAX_EDGE,
    ) -> None:
        self._codec = _CODECS[codec]
        self._has_parameters = codec == "H264"
        self._max_pixels = max_pixels
        self._max_edge = max_edge
        self._stats = VideoStats()
        self._assembler = FrameAssembler(self._codec.depacketise)
        self._ring = FrameRing()
        self._clock = StreamClock(CLOCK_HZ, peer)
        self._decoder = VideoDecoder(codec)
        self._parameters = b""
        """The parameter sets of H.264 that came last; some senders send them once."""
        self._decoding = threading.Lock()
        self._is_damaged = False
        """The decoder needs a key frame; set by the thread that decodes."""
        self._shown: Picture | None = None
        self._key_wanted_at = -KEY_FRAME_EVERY_S

    # --- the network's side -------------------------------------------------------------

    def packet(
        self, sequence: int, timestamp: int, marker: bool, payload: bytes, now: float
    ) -> None:
        """Take an RTP packet with its 16-bit and 32-bit numbers; never raises."""
        numbered, frames = self._assembler.receive(
            sequence, timestamp, marker, payload, now
        )
        if numbered is None:
            return
        if numbered.restarted:
            self._clock.restart()
            self._ring.clear()
        for frame in frames:
            self._clock.arrived(frame.timestamp, frame.arrived)
            self._keep(frame)

    def sender_report(self, rtp_timestamp: int, ntp_s: float) -> None:
        """Take what an RTCP sender report says of the peer's clock (seconds of NTP)."""
        self._clock.reported(rtp_timestamp, ntp_s)

    def restart(self) -> None:
        """The next packet is the first of another sender (a new SSRC)."""
        self._assembler.restart()

    def wants_key_frame(self, now: float) -> bool:
        """Say whether to ask for a key frame now; saying yes counts as having asked."""
        self._heed_damage()
        passed_s = now - self._key_wanted_at
        is_needed = self._assembler.is_broken or self._ring.needs_key
        due = (is_needed and passed_s >= KEY_FRAME_EVERY_S) or (
            self._ring.wants_refresh and passed_s >= REFRESH_EVERY_S
        )
        if not due or not self._assembler.num_packets:
            return False
        self._key_wanted_at = now
        self._stats.key_frames_wanted += 1
        return True

    def stats(self) -> VideoStats:
        """Return the counts up to now; the same object every time."""
        stats, assembler = self._stats, self._assembler
        stats.received = assembler.num_packets
        stats.malformed = assembler.num_malformed
        stats.forgotten = assembler.num_forgotten
        stats.dropped = self._ring.num_dropped
        return stats

    # --- the viewer's side --------------------------------------------------------------

    def frame_at(self, when: float) -> Picture | None:
        """
        Return what the camera showed at a session time, decoding what that takes.

        That is the newest frame captured until then. What was decoded before for a later
        time is not gone back behind: then that is returned. None before the first frame.
        """
        work = self.take(when)
        return self._shown if work is None else self.decode(work)

    def take(self, when: float) -> Work | None:
        """Return what to decode for ``frame_at``; None if nothing newer is there."""
        self._heed_damage()
        index = -1
        captured_s = 0.0
        for at, frame in enumerate(self._ring.frames):
            at_s = self._captured_s(frame)
            if (index >= 0 and at_s > when) or (self._shown and at_s > when):
                break
            index, captured_s = at, at_s
        if index < 0:
            return None
        return Work([frame.data for frame in self._ring.take(index)], captured_s)

    def decode(self, work: Work) -> Picture | None:
        """
        Decode; takes a millisecond per frame. Work must be decoded in the order taken.

        Returns None if a frame is damaged; the next one to be seen is a key frame then.
        """
        with self._decoding:
            rgb = self._decoder.decode(work.frames, self._max_edge)
            self._stats.decoded += len(work.frames)
            if rgb is None:
                self._stats.undecodable += 1
                self._is_damaged = True
                return None
            self._shown = Picture(rgb, work.captured_s)
            return self._shown

    # --- in between ---------------------------------------------------------------------

    def _captured_s(self, frame: EncodedFrame) -> float:
        at_s = self._clock.seconds(frame.timestamp)
        # Nothing arrives before it is captured, whatever a clock says.
        return frame.arrived if at_s is None else min(at_s, frame.arrived)

    def _keep(self, whole: EncodedFrame) -> None:
        self._heed_damage()
        frame = replace(whole, is_key=self._codec.is_key(whole.data))
        size = self._codec.size(frame.data)
        if size is not None and not 0 < size[0] * size[1] <= self._max_pixels:
            self._stats.oversized += 1
            self._ring.clear()
            return
        if not frame.is_key and not frame.follows:
            self._ring.clear()
        if self._has_parameters:
            frame = self._with_parameters(frame, is_given=size is not None)
        if not self._ring.add(frame):
            self._stats.unusable += 1
            return
        self._stats.frames += 1
        self._stats.key_frames += frame.is_key
        if size is not None:
            self._stats.width, self._stats.height = size

    def _with_parameters(self, frame: EncodedFrame, *, is_given: bool) -> EncodedFrame:
        if is_given:
            self._parameters = h264.parameters(frame.data)[:_MAX_PARAMETERS_BYTES]
        elif frame.is_key:
            return replace(frame, data=self._parameters + frame.data)
        return frame

    def _heed_damage(self) -> None:
        if self._is_damaged:
            self._is_damaged = False
            self._ring.clear()
