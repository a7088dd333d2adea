from typing import TypeVar

import pytest
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    unpack_remb_fci,
)

from assistant.gateway.rtc.streams import MIN_VIDEO_KBPS, SILENCE, Streams
from assistant.wire.sdp import parse_offer
from tests.wire.offers import CHROMIUM

_Packet = TypeVar("_Packet", bound=AnyRtcpPacket)
NACKED = CHROMIUM.replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 nack")
AUDIO, VP8 = 111, 96


def streams(offer: str = CHROMIUM) -> Streams:
    return Streams(parse_offer(offer), video_kbps=500)


def rtp(kind: int, number: int, payload: bytes = SILENCE, ssrc: int = 1001) -> bytes:
    packet = RtpPacket(kind, 0, number & 0xFFFF, number * 960, ssrc, payload)
    return packet.serialize()


def parsed(data: bytes, kind: type[_Packet]) -> _Packet:
    (packet,) = RtcpPacket.parse(data)
    assert isinstance(packet, kind)
    return packet


def test_packets_of_the_microphone_become_sound() -> None:
    at = streams()
    for number in range(50):
        assert at.receive_rtp(rtp(AUDIO, number), number * 0.02) == b""
    assert at.audio is not None
    num_samples = sum(len(part) for part in at.audio.due(1.2))
    assert num_samples >= 49 * 320
    assert at.network().num_packets == 50


def test_lost_speech_is_asked_for_again_where_that_was_agreed() -> None:
    for offer, is_asked in ((NACKED, True), (CHROMIUM, False)):
        at = streams(offer)
        asked = b""
        for number in (65_534, 65_535, 65_538):
            asked += at.receive_rtp(rtp(AUDIO, number), (number - 65_534) * 0.02)
        for _ in range(10):
            asked += at.receive_rtp(rtp(AUDIO, 65_539), 0.1)
        assert bool(asked) == is_asked
        if is_asked:
            nack = RtcpPacket.parse(asked)[0]
            assert isinstance(nack, RtcpRtpfbPacket)
            assert set(nack.lost) <= {0, 1}
            assert nack.media_ssrc == 1001


def test_a_camera_is_told_apart_and_asked_for_what_is_missing() -> None:
    at = streams()
    assert at.video is None
    delta = b"\x10\x01\x00\x00"  # the first packet of a frame that is no key frame
    at.receive_rtp(rtp(VP8, 5, delta, ssrc=7), 0.0)
    assert at.video is not None
    nack = parsed(at.receive_rtp(rtp(VP8, 8, delta, ssrc=7), 0.1), RtcpRtpfbPacket)
    assert (nack.lost, nack.media_ssrc) == ([6, 7], 7)
    pli = parsed(at.key_frame_request(5.0), RtcpPsfbPacket)
    assert (pli.fmt, pli.media_ssrc) == (1, 7)
    assert at.key_frame_request(5.1) == b"", "not twice in a row"


def test_packets_that_were_not_negotiated_or_are_none_change_nothing() -> None:
    at = streams()
    for data in (b"", b"\x80", b"\x80" * 40, rtp(97, 1), rtp(0, 1)):
        assert at.receive_rtp(data, 0.0) == b""
        at.receive_rtcp(data, 0.0)
    assert at.network().num_packets == 0


def test_the_report_counts_what_came_and_says_how_much_a_camera_may_send() -> None:
    at = streams()
    for number in (0, 1, 2, 9):
        at.receive_rtp(rtp(AUDIO, number), number * 0.02)
    at.receive_rtp(rtp(VP8, 0, b"\x10\x01", ssrc=7), 0.2)
    report, bound = at.reports(1.0)
    blocks = {block.ssrc: block for block in parsed(report, RtcpRrPacket).reports}
    assert blocks[1001].packets_lost == 6
    assert blocks[7].packets_lost == 0
    bitrate, sources = unpack_remb_fci(parsed(bound, RtcpPsfbPacket).fci)
    assert bitrate == pytest.approx(300_000, rel=0.01), "speech was lost"
    assert sources == [7]


def test_a_camera_gives_way_while_speech_is_lost_and_comes_back_afterwards() -> None:
    at = streams()
    at.receive_rtp(rtp(VP8, 0, b"\x10\x01", ssrc=7), 0.0)
    number = 0

    def bound_after(seconds: int, step: int) -> float:
        nonlocal number
        bound = b""
        for _ in range(seconds):
            for _ in range(50):
                at.receive_rtp(rtp(AUDIO, number), number * 0.02)
                number += step
            bound = at.reports(number * 0.02)[1]
        bitrate, _ = unpack_remb_fci(parsed(bound, RtcpPsfbPacket).fci)
        return bitrate / 1000

    assert bound_after(3, step=1) == pytest.approx(500, rel=0.01)
    assert bound_after(8, step=2) == pytest.approx(MIN_VIDEO_KBPS, rel=0.01)
    assert 90 < bound_after(8, step=1) < 150
    assert bound_after(30, step=1) == pytest.approx(500, rel=0.01)


def test_a_report_of_the_sender_is_answered_with_when_it_came() -> None:
    at = streams()
    at.receive_rtp(rtp(AUDIO, 0), 0.0)
    info = RtcpSenderInfo(
        ntp_timestamp=5 << 32, rtp_timestamp=0, packet_count=1, octet_count=3
    )
    at.receive_rtcp(bytes(RtcpSrPacket(1001, info)), 1.0)
    (block,) = parsed(at.reports(1.5)[0], RtcpRrPacket).reports
    assert (block.lsr, block.dlsr) == (5 << 16, 0x8000)


def test_a_silent_voice_is_sent_now_and_then_and_tells_the_round_trip() -> None:
    at = streams()
    first = RtpPacket.parse(at.voice_packet(1.0))
    second = RtpPacket.parse(at.voice_packet(1.4))
    assert first.payload == SILENCE
    assert (second.sequence_number - first.sequence_number) & 0xFFFF == 1
    assert second.timestamp - first.timestamp == pytest.approx(0.4 * 48_000, abs=1)
    report = parsed(at.reports(2.0)[0], RtcpSrPacket)
    middle = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
    block = RtcpReceiverInfo(at.voice.ssrc, 0, 0, 0, 0, middle, int(0.5 * 65_536))
    at.receive_rtcp(bytes(RtcpRrPacket(1001, [block])), 2.58)
    trip_ms = at.network().round_trip_ms
    assert trip_ms == pytest.approx(80, abs=1)


def test_nothing_is_said_to_who_only_speaks() -> None:
    at = streams(CHROMIUM.replace("a=sendrecv", "a=sendonly"))
    assert at.voice_packet(1.0) == b""
    at.receive_rtp(rtp(AUDIO, 0), 0.0)
    parsed(at.reports(1.0)[0], RtcpRrPacket)


def test_without_a_microphone_there_is_no_voice_either() -> None:
    start = CHROMIUM.index("m=audio")
    at = streams(CHROMIUM[:start] + CHROMIUM[CHROMIUM.index("m=video") :])
    assert at.voice_packet(1.0) == b""
    assert at.audio is None
