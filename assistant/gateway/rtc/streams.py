"""
The media of one peer: its microphone and camera in, a silent voice out, and their RTCP.

Pure of sockets and clocks: decrypted packets come in with session seconds, packets to send
go out. What packets hold is the business of ``assistant.media``; here they are told apart,
counted and reported on.

* Packets are told apart by payload type: in a bundle each has one meaning (RFC 8843 9.2).
* The voice is silence as Opus writes it, a few bytes now and then: it keeps the negotiated
  track alive (and a NAT's table), and its reports tell us the round trip.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)

from assistant.gateway.rtc.reception import NTP_FRACTION, Reception
from assistant.media.rtp_audio import AudioReceiver
from assistant.media.rtp_clock import PeerClock
from assistant.media.rtp_video import VideoReceiver
from assistant.media.video_decoder import VideoCodec
from assistant.wire.sdp import Offer
from assistant.wire.sdp_answer import Voice

_LISTENING = ("sendrecv", "recvonly")
SILENCE = b"\xf8\xff\xfe"
"""Opus: a 20 ms packet of nothing."""
VOICE_CLOCK_HZ = 48_000
MIN_VIDEO_KBPS = 50
"""A picture now and then; browsers send smaller ones, and fewer."""
LOSS_THAT_HURTS = 0.05
"""Of speech, in a second: from there on a camera has to give way, whoever loses packets."""
GIVE_WAY, TAKE_BACK = 0.6, 1.1
_VIDEO_CODECS: dict[str, VideoCodec] = {"vp8": "VP8", "h264": "H264"}


@dataclass(frozen=True, slots=True)
class NetworkStats:
    """What the network does to one peer, in words of the log."""

    num_packets: int
    num_lost: int
    jitter_ms: float
    round_trip_ms: float | None


@dataclass(slots=True)
class _Source:
    """The synchronisation source that one kind of packets comes from now."""

    ssrc: int
    reception: Reception


class Streams:
    """What was negotiated with one peer, and what has come of it."""

    def __init__(self, offer: Offer, video_kbps: int) -> None:
        clock = PeerClock()
        audio = offer.audio()
        self.audio = None if audio is None else AudioReceiver(clock)
        self.video: VideoReceiver | None = None
        """There from the first packet of a camera on, which says its codec."""
        self.voice = Voice(secrets.randbits(31) | 1, secrets.token_hex(8))
        self._clock = clock
        self._max_video_kbps = video_kbps
        self._video_kbps = float(video_kbps)
        self._audio_type = None if audio is None else audio.payload_type
        section = offer.section("audio")
        self._may_speak = section is not None and section.direction in _LISTENING
        self._asks_again = audio is not None and "nack" in audio.feedback
        self._codecs = {codec.payload_type: codec for codec in offer.video()}
        self._video_type: int | None = None
        self._sources: dict[str, _Source] = {}
        self._num_sent = 0
        self._voice_sequence = secrets.randbits(15)
        self._round_trip_s: float | None = None
        self._is_sending = False

    # --- in -----------------------------------------------------------------------------

    def receive_rtp(self, data: bytes, now: float) -> bytes:
        """Take a packet; return the RTCP to send at once, if any."""
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return b""
        if packet.payload_type == self._audio_type and self.audio is not None:
            source = self._source("audio", VOICE_CLOCK_HZ, packet, self.audio)
            source.reception.packet(packet.sequence_number, packet.timestamp, now)
            self.audio.packet(packet.sequence_number, packet.timestamp, packet.payload, now)
            missing = self.audio.missing(now) if self._asks_again else []
            return self._nack(source, missing)
        if packet.payload_type in self._codecs:
            return self._receive_picture(packet, now)
        return b""

    def _receive_picture(self, packet: RtpPacket, now: float) -> bytes:
        codec = self._codecs[packet.payload_type]
        if self.video is None or self._video_type != packet.payload_type:
            self._video_type = packet.payload_type
            self.video = VideoReceiver(_VIDEO_CODECS[codec.name], self._clock)
        source = self._source("video", codec.clock_hz, packet, self.video)
        number, timestamp = packet.sequence_number, packet.timestamp
        has_gap = source.reception.packet(number, timestamp, now)
        self.video.packet(number, timestamp, bool(packet.marker), packet.payload, now)
        asks = has_gap and "nack" in codec.feedback
        return self._nack(source, source.reception.missing() if asks else [])

    def _source(
        self,
        kind: str,
        clock_hz: int,
        packet: RtpPacket,
        receiver: AudioReceiver | VideoReceiver,
    ) -> _Source:
        source = self._sources.get(kind)
        if source is None or source.ssrc != packet.ssrc:
            if source is not None:
                receiver.restart()
            source = self._sources[kind] = _Source(packet.ssrc, Reception(clock_hz))
        return source

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take what the peer reports of its streams and of ours."""
        try:
            packets = RtcpPacket.parse(data)
        except ValueError:
            return
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                self._heed_sender(packet, now)
            if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
                self._heed_reports(packet.reports, now)

    def _heed_sender(self, packet: RtcpSrPacket, now: float) -> None:
        info = packet.sender_info
        for kind, source in self._sources.items():
            if source.ssrc == packet.ssrc:
                source.reception.sender_report(info.ntp_timestamp, now)
                receiver = self.audio if kind == "audio" else self.video
                if receiver is not None and info.ntp_timestamp:
                    receiver.sender_report(info.rtp_timestamp, info.ntp_timestamp / 2**32)

    def _heed_reports(self, reports: Sequence[RtcpReceiverInfo], now: float) -> None:
        for report in reports:
            if report.ssrc == self.voice.ssrc and report.lsr:
                # RFC 3550 section 6.4.1, modulo 2^16 seconds.
                passed = (int(now * NTP_FRACTION) - report.lsr - report.dlsr) & 0xFFFFFFFF
                if passed < 60 * NTP_FRACTION:
                    self._round_trip_s = passed / NTP_FRACTION

    # --- out ----------------------------------------------------------------------------

    def reports(self, now: float) -> list[bytes]:
        """Return the RTCP that is due every second."""
        blocks = []
        for kind, source in self._sources.items():
            block = source.reception.report(now)
            if kind == "audio":
                self._share(block.fraction_lost / 256)
            blocks.append(
                RtcpReceiverInfo(
                    ssrc=source.ssrc,
                    fraction_lost=block.fraction_lost,
                    packets_lost=block.num_lost,
                    highest_sequence=block.highest_sequence,
                    jitter=block.jitter,
                    lsr=block.last_sender_report,
                    dlsr=block.delay,
                )
            )
        report: RtcpSrPacket | RtcpRrPacket = RtcpRrPacket(self.voice.ssrc, blocks)
        if self._is_sending:
            report = RtcpSrPacket(
                self.voice.ssrc,
                RtcpSenderInfo(
                    ntp_timestamp=int(now * 2**32),
                    rtp_timestamp=self._voice_ticks(now),
                    packet_count=self._num_sent,
                    octet_count=self._num_sent * len(SILENCE),
                ),
                blocks,
            )
        return [bytes(report), *self._video_feedback()]

    def key_frame_request(self, now: float) -> bytes:
        """Return the RTCP that asks for a key frame, when one is needed."""
        source = self._sources.get("video")
        if source is None or self.video is None or not self.video.wants_key_frame(now):
            return b""
        source.reception.give_up()
        request = RtcpPsfbPacket(RTCP_PSFB_PLI, self.voice.ssrc, source.ssrc)
        return bytes(request)

    def voice_packet(self, now: float) -> bytes:
        """Return a packet of silence, to be sent now and then; b"" where none is wanted."""
        if self._audio_type is None or not self._may_speak:
            return b""
        self._is_sending = True
        self._voice_sequence = (self._voice_sequence + 1) & 0xFFFF
        self._num_sent += 1
        return RtpPacket(
            payload_type=self._audio_type,
            sequence_number=self._voice_sequence,
            timestamp=self._voice_ticks(now),
            ssrc=self.voice.ssrc,
            payload=SILENCE,
        ).serialize()

    def network(self) -> NetworkStats:
        """Return what is known of the way to us."""
        receptions = [source.reception for source in self._sources.values()]
        audio = self._sources.get("audio")
        round_trip_s = self._round_trip_s
        return NetworkStats(
            num_packets=sum(reception.num_received for reception in receptions),
            num_lost=sum(max(0, reception.num_lost) for reception in receptions),
            jitter_ms=0.0 if audio is None else audio.reception.jitter_s * 1000,
            round_trip_ms=None if round_trip_s is None else round_trip_s * 1000,
        )

    def _share(self, loss: float) -> None:
        """Let the camera have less while speech is lost, and more again when it is not."""
        factor = GIVE_WAY if loss > LOSS_THAT_HURTS else TAKE_BACK
        highest = max(MIN_VIDEO_KBPS, self._max_video_kbps)
        self._video_kbps = min(highest, max(MIN_VIDEO_KBPS, self._video_kbps * factor))

    def _video_feedback(self) -> list[bytes]:
        """Say how much a camera may send."""
        source = self._sources.get("video")
        if source is None:
            return []
        bound = pack_remb_fci(int(self._video_kbps * 1000), [source.ssrc])
        return [bytes(RtcpPsfbPacket(RTCP_PSFB_APP, self.voice.ssrc, 0, bound))]

    def _nack(self, source: _Source, missing: list[int]) -> bytes:
        if not missing:
            return b""
        packet = RtcpRtpfbPacket(RTCP_RTPFB_NACK, self.voice.ssrc, source.ssrc)
        packet.lost = sorted(missing)  # aiortc cannot pack one that wraps
        return bytes(packet)

    def _voice_ticks(self, now: float) -> int:
        return int(now * VOICE_CLOCK_HZ) & 0xFFFFFFFF
