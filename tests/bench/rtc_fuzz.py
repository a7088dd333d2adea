"""
Damaged packets against the receivers of a call, by the hundred thousand or the million.

    python -m tests.bench.rtc_fuzz [--mutations 100000] [--seed 1]

Each round takes a real packet of Opus, VP8 or H.264, damages its payload or its numbers,
hands it over, and then checks that good ones are still heard or seen. Nothing may raise.
Unit tests run the same rounds in small numbers. Prints rounds and time for each; the last
line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

from assistant.media.rtp_audio import AudioReceiver
from assistant.media.rtp_video import VideoReceiver
from assistant.media.video_decoder import VideoCodec
from tests.media.rtp_streams import (
    RtpPacket,
    encoded_frames,
    grey,
    spoken_payloads,
    video_packets,
)

KEY_LEVEL = 120
SHARE_OF_NUMBERS = 0.2
"""Rounds in which sequence and timestamp are anything, too."""


def mutated(rng: Random, payload: bytes, other: bytes) -> bytes:
    """Damage a payload in one to four ways."""
    data = bytearray(payload)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + rng.randrange(8)]
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.randrange(1, 16))
        elif kind == 5:
            data[at:] = other[rng.randrange(len(other)) :]
        else:  # the head says most
            data[:8] = rng.randbytes(rng.randrange(9))
    return bytes(data)


def numbers(rng: Random, sequence: int, timestamp: int) -> tuple[int, int]:
    if rng.random() >= SHARE_OF_NUMBERS:
        return sequence & 0xFFFF, timestamp & 0xFFFFFFFF
    return rng.randrange(0x10000), rng.randrange(2**32)


def fuzz_audio(rng: Random) -> Iterator[None]:
    """Damage sound for ever; each step is one damaged packet and what follows it."""
    good = spoken_payloads()
    audio = AudioReceiver()
    number, now = 0, 0.0
    while True:
        number, now = number + 2, now + 1.0  # sound faster than time would be refused
        timestamp = round(now * 48_000)
        bad = mutated(rng, rng.choice(good), rng.choice(good))
        audio.packet(*numbers(rng, number, timestamp), bad, now)
        audio.sender_report(rng.randrange(2**32), rng.choice((0.0, -1e300, 3.9e9 + now)))
        audio.due(now)
        audio.wake_at()
        audio.missing(now)
        audio.restart()
        payload = good[number % len(good)]
        audio.packet(number + 1 & 0xFFFF, timestamp & 0xFFFFFFFF, payload, now)
        heard = sum(len(part) for part in audio.due(now + 0.02))
        assert heard >= 320, (number, bad.hex())
        yield


@cache
def camera(codec: VideoCodec) -> list[RtpPacket]:
    """A key frame and some others; encoded once."""
    rng = Random(9)
    pictures = [grey(KEY_LEVEL), *[grey(rng.randrange(256)) for _ in range(7)]]
    return video_packets(encoded_frames(pictures, codec), codec)


def fuzz_video(codec: VideoCodec, rng: Random) -> Iterator[None]:
    """Damage pictures for ever; each step is one damaged packet and a good key frame."""
    good = camera(codec)
    key = [packet for packet in good if packet.timestamp == good[0].timestamp]
    video = VideoReceiver(codec)
    number, now = 0, 0.0
    while True:
        number, now = number + 1, now + 0.04
        packet = rng.choice(good)
        bad = mutated(rng, packet.payload, rng.choice(good).payload)
        marker = packet.marker or rng.random() < 0.5
        video.packet(*numbers(rng, number, packet.timestamp), marker, bad, now)
        video.sender_report(rng.randrange(2**32), rng.choice((0.0, -1e300, 3.9e9 + now)))
        video.frame_at(now)
        video.wants_key_frame(now)
        video.restart()
        for one in key:
            number += 1
            timestamp = round(now * 90_000) & 0xFFFFFFFF
            video.packet(number & 0xFFFF, timestamp, one.marker, one.payload, now)
        picture = video.frame_at(now)
        assert picture is not None, (number, bad.hex())
        assert abs(float(picture.rgb.mean()) - KEY_LEVEL) < 8, (number, bad.hex())
        yield


TARGETS: dict[str, Callable[[Random], Iterator[None]]] = {
    "opus": fuzz_audio,
    "vp8": lambda rng: fuzz_video("VP8", rng),
    "h264": lambda rng: fuzz_video("H264", rng),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="damaged packets and what they do")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    share = -(-options.mutations // len(TARGETS))
    took = {}
    for name, target in TARGETS.items():
        began = time.monotonic()
        rounds = target(Random(options.seed))
        for _ in range(share):
            next(rounds)
        took[name] = round(time.monotonic() - began, 1)
        print(f"{name:8}{share:10} damaged packets survived in {took[name]:8} s")
    print(json.dumps({"bench": "rtc_fuzz", "each": share, "seed": options.seed, "s": took}))


if __name__ == "__main__":
    main()
