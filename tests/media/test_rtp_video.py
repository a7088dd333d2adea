from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from assistant.config import PairingConfig
from assistant.media.h264 import units
from assistant.media.opus import Pcm
from assistant.media.rtp_audio import AudioReceiver
from assistant.media.rtp_clock import PeerClock
from assistant.media.rtp_video import KEY_FRAME_EVERY_S, Picture, VideoReceiver
from assistant.media.video_decoder import VideoCodec
from assistant.turns.clock import AudioClock
from assistant.turns.pairing import FrameMeta, pair
from tests.media.rtp_streams import (
    AUDIO_HZ,
    VIDEO_HZ,
    RtpPacket,
    audio_packets,
    encoded_frames,
    grey,
    opus_payloads,
    video_packets,
)

CODECS: tuple[VideoCodec, ...] = ("VP8", "H264")
RATE_HZ = 15.0


def level(number: int) -> int:
    return 20 + 6 * number


@cache
def packets_of(
    codec: VideoCodec, num_frames: int, keys: tuple[int, ...] = (0,)
) -> Sequence[RtpPacket]:
    pictures = [grey(level(number)) for number in range(num_frames)]
    return video_packets(encoded_frames(pictures, codec, keys=keys), codec)


def see(video: VideoReceiver, packets: Iterable[RtpPacket], delay_s: float = 0.0) -> None:
    for packet in packets:
        video.packet(
            packet.sequence,
            packet.timestamp,
            packet.marker,
            packet.payload,
            packet.sent_s + delay_s,
        )


def shown(picture: Picture | None) -> int:
    """Return the number of the frame that a picture is of."""
    assert picture is not None
    return round((float(picture.rgb.mean()) - level(0)) / 6)


@pytest.mark.parametrize("codec", CODECS)
def test_the_frame_that_was_there_at_a_time_is_decoded(codec: VideoCodec) -> None:
    video = VideoReceiver(codec)
    see(video, packets_of(codec, 30))
    picture = video.frame_at(10.5 / RATE_HZ)
    assert shown(picture) == 10
    assert picture is not None
    assert picture.captured_s == pytest.approx(10 / RATE_HZ, abs=1e-3)
    assert shown(video.frame_at(20.5 / RATE_HZ)) == 20
    assert shown(video.frame_at(99.0)) == 29


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_decoded_before_somebody_asks(codec: VideoCodec) -> None:
    video = VideoReceiver(codec)
    see(video, packets_of(codec, 30))
    assert (video.stats().frames, video.stats().decoded) == (30, 0)
    video.frame_at(99.0)
    assert video.stats().decoded == 30


def test_a_key_frame_spares_decoding_what_was_before_it() -> None:
    video = VideoReceiver("VP8")
    see(video, packets_of("VP8", 30, keys=(0, 25)))
    assert shown(video.frame_at(99.0)) == 29
    assert video.stats().decoded == 5


def test_without_anything_newer_the_same_picture_is_returned() -> None:
    video = VideoReceiver("VP8")
    assert video.frame_at(1.0) is None
    see(video, packets_of("VP8", 5))
    picture = video.frame_at(99.0)
    assert video.take(99.0) is None
    assert video.frame_at(0.0) is picture
    assert video.frame_at(99.0) is picture


def test_before_the_first_frame_s_time_the_first_is_the_nearest() -> None:
    video = VideoReceiver("VP8")
    see(video, packets_of("VP8", 5))
    assert shown(video.frame_at(-1.0)) == 0


def test_a_picture_is_made_no_larger_than_told() -> None:
    video = VideoReceiver("VP8", max_edge=80)
    see(video, packets_of("VP8", 1))
    picture = video.frame_at(99.0)
    assert picture is not None
    assert picture.rgb.shape == (60, 80, 3)


@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_larger_than_the_bound_never_meets_the_decoder(codec: VideoCodec) -> None:
    video = VideoReceiver(codec, max_pixels=160 * 120 // 2)
    see(video, packets_of(codec, 5))
    assert video.frame_at(99.0) is None
    stats = video.stats()
    assert (stats.oversized, stats.decoded) == (1, 0)
    assert video.wants_key_frame(1.0)


def test_a_key_frame_that_claims_91_million_pixels_is_refused() -> None:
    video = VideoReceiver("VP8")
    packet = packets_of("VP8", 1)[0]
    at = packet.payload.index(b"\x9d\x01\x2a") + 3
    bomb = packet.payload[:at] + b"\xff\x3f\xad\x15" + packet.payload[at + 4 :]
    see(video, [replace(packet, payload=bomb)])
    assert video.frame_at(99.0) is None
    assert video.stats().oversized == 1


@pytest.mark.parametrize("codec", CODECS)
def test_after_a_loss_a_key_frame_is_wanted_and_shown_when_it_comes(
    codec: VideoCodec,
) -> None:
    packets = packets_of(codec, 30, keys=(0, 25))
    by_frame = sorted({packet.timestamp for packet in packets})
    lost = [packet for packet in packets if packet.timestamp != by_frame[10]]
    video = VideoReceiver(codec)
    see(video, [packet for packet in lost if packet.timestamp < by_frame[20]])
    assert shown(video.frame_at(99.0)) == 9
    assert video.wants_key_frame(20 / RATE_HZ)
    see(video, [packet for packet in lost if packet.timestamp >= by_frame[20]])
    assert not video.wants_key_frame(9.0)
    assert shown(video.frame_at(99.0)) == 29


def test_key_frames_are_wanted_once_a_second_at_most() -> None:
    video = VideoReceiver("VP8")
    assert not video.wants_key_frame(0.0)  # nothing has come at all
    see(video, packets_of("VP8", 5)[1:])
    wanted = [at / 100 for at in range(500) if video.wants_key_frame(at / 100)]
    assert wanted == pytest.approx([0, 1, 2, 3, 4], abs=0.011)
    assert KEY_FRAME_EVERY_S == 1.0
    assert video.stats().key_frames_wanted == 5


def test_a_long_silence_is_refreshed_so_that_looking_stays_cheap() -> None:
    video = VideoReceiver("VP8")
    pictures = [grey(100, 32, 32)] * 200
    see(video, video_packets(encoded_frames(pictures, "VP8"), "VP8"))
    assert video.wants_key_frame(200 / RATE_HZ)
    assert not video.wants_key_frame(200 / RATE_HZ + 3.0)


@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_frame_is_no_picture_and_a_key_frame_is_wanted(
    codec: VideoCodec,
) -> None:
    packets = packets_of(codec, 12, keys=(0, 10))
    video = VideoReceiver(codec)
    times = sorted({packet.timestamp for packet in packets})
    first = [p for p in packets if p.timestamp < times[10]]
    kind = first[-1].payload[:1] if codec == "H264" else first[-1].payload[:4]
    first[-1] = replace(first[-1], payload=kind + b"\x00")
    see(video, first)
    picture = video.frame_at(99.0)
    if picture is None:
        assert video.wants_key_frame(1.0)
    see(video, [p for p in packets if p.timestamp >= times[10]])
    assert shown(video.frame_at(99.0)) == 11


def test_parameters_that_were_sent_once_are_given_to_every_key_frame() -> None:
    frames = encoded_frames([grey(level(n)) for n in range(6)], "H264", keys=(0, 3))
    bare = [
        b"".join(b"\x00\x00\x00\x01" + u for u in units(frame) if u[0] & 0x1F in (1, 5))
        for frame in frames
    ]
    video = VideoReceiver("H264")
    packets = video_packets([frames[0], *bare[1:]], "H264")
    begun = min(p.timestamp for p in packets if p.sent_s > 2.5 / RATE_HZ)
    see(video, [p for p in packets if p.timestamp < begun])
    video.frame_at(99.0)
    video._decoder._open()  # as after a damaged frame
    see(video, [p for p in packets if p.timestamp >= begun])
    assert shown(video.frame_at(99.0)) == 5


def test_another_camera_begins_anew() -> None:
    video = VideoReceiver("VP8")
    see(video, packets_of("VP8", 5))
    video.restart()
    other = [
        replace(packet, sequence=packet.sequence + 20_000, timestamp=packet.timestamp + 99)
        for packet in packets_of("VP8", 8)
    ]
    see(video, other, delay_s=1.0)
    picture = video.frame_at(99.0)
    assert shown(picture) == 7
    assert picture is not None
    assert picture.captured_s == pytest.approx(1 + 7 / RATE_HZ, abs=0.01)


def test_any_packets_leave_the_receiver_alive() -> None:
    rng = Random(4)
    good = packets_of("VP8", 10)
    video = VideoReceiver("VP8")
    for number in range(300):
        packet = rng.choice(good)
        payload = bytearray(packet.payload)
        payload[rng.randrange(len(payload))] = rng.randrange(256)
        video.packet(number, packet.timestamp, packet.marker, bytes(payload), number / 99)
        if number % 10 == 0:
            video.frame_at(99.0)
    video.restart()
    see(video, good, delay_s=10.0)
    assert shown(video.frame_at(99.0)) == 9


# --- one clock for sound and pictures ----------------------------------------------------

BEEP_S = 3.0
AUDIO_START, VIDEO_START = 4_294_900_000, 77


@cache
def sent_streams() -> tuple[Sequence[RtpPacket], Sequence[RtpPacket]]:
    """Return the pictures and the sound of such a call."""
    flash = round(BEEP_S * RATE_HZ)
    pictures = [grey(250 if n == flash else 30, 64, 48) for n in range(flash + 15)]
    seen = video_packets(encoded_frames(pictures, "VP8"), "VP8", timestamp=VIDEO_START)
    sound = np.zeros(round((BEEP_S + 1) * AUDIO_HZ), np.int16)
    at = np.arange(AUDIO_HZ // 5)
    begin = round(BEEP_S * AUDIO_HZ)
    sound[begin : begin + len(at)] = 9000 * np.sin(2 * np.pi * 1000 * at / AUDIO_HZ)
    return seen, audio_packets(opus_payloads(sound), timestamp=AUDIO_START)


def beep_and_flash(*, encoding_s: float, reports: bool) -> tuple[float, list[Picture]]:
    """
    Hold a call in which a beep sounds while a white picture is shown for one frame.

    Sound takes 40 to 60 ms to arrive, pictures ``encoding_s`` longer; each stream has its
    own timestamps. Returns when the beep was on the session's clock, and every frame.
    """
    rng = Random(6)
    seen, heard = sent_streams()
    peer, clock = PeerClock(), AudioClock()
    audio, video = AudioReceiver(peer), VideoReceiver("VP8", peer)
    if reports:
        audio.sender_report(AUDIO_START + AUDIO_HZ, 3.9e9 + 1.0)
        video.sender_report(VIDEO_START + 2 * VIDEO_HZ, 3.9e9 + 2.0)
    arrivals = [(p.sent_s + 0.04 + rng.uniform(0, 0.02), 0, p) for p in heard]
    arrivals += [(p.sent_s + 0.04 + encoding_s, 1, p) for p in seen]
    samples: list[Pcm] = []
    count = 0
    found: list[Picture] = []
    for now, kind, packet in sorted(arrivals, key=lambda arrival: arrival[:2]):
        if kind:
            see(video, [packet], delay_s=now - packet.sent_s)
            picture = video.frame_at(now)
            if picture is not None and picture not in found:
                found.append(picture)
        else:
            audio.packet(packet.sequence, packet.timestamp, packet.payload, now)
            for part in audio.due(now):
                samples.append(part)
                count += len(part)
                clock.receive(count, now)
    loud = np.abs(np.concatenate(samples)) > 2000
    return clock.seconds(int(np.argmax(loud)) + 1), found


def flash_s(pictures: list[Picture]) -> float:
    (bright,) = [p.captured_s for p in pictures if p.rgb.mean() > 150]
    return bright


@pytest.mark.parametrize("encoding_s", [0.0, 0.06, 0.25])
def test_with_reports_a_flash_is_seen_when_its_beep_is_heard(encoding_s: float) -> None:
    beep_s, pictures = beep_and_flash(encoding_s=encoding_s, reports=True)
    assert abs(flash_s(pictures) - beep_s) < 0.025


def test_without_reports_a_flash_is_late_by_what_encoding_it_takes() -> None:
    beep_s, pictures = beep_and_flash(encoding_s=0.06, reports=False)
    assert flash_s(pictures) - beep_s == pytest.approx(0.06, abs=0.03)


@pytest.mark.parametrize("reports", [True, False])
def test_pairing_picks_the_frame_within_100_ms_of_the_beep(reports: bool) -> None:
    beep_s, pictures = beep_and_flash(encoding_s=0.05, reports=reports)
    metas = [FrameMeta(at, p.captured_s, 1.0) for at, p in enumerate(pictures)]
    config = PairingConfig(after_end_s=0.0, frames_per_turn=1)
    paired = pair(metas, beep_s, beep_s + 0.05, config, lambda one, other: 1.0)
    (used,) = paired.used
    assert abs(pictures[used].captured_s - beep_s) <= 0.1
    if reports:
        assert pictures[used].rgb.mean() > 150
