"""
What the media of a WebRTC call cost: CPU seconds of one thread per second of a call.

    python -m tests.bench.rtc_media [--seconds 20] [--rounds 3]

Sound is a recorded sentence over and over; the camera is a person before a webcam, at
640x480 and 15 frames a second. Everything is encoded before the clock starts, and the
clock is the thread's, so a busy machine matters little. Measured are the receivers alone:
no sockets, no SRTP, no voice activity detection.

Three cameras: one that nobody looks at (frames are kept), one that somebody looks at all
the time, as while the user speaks (every frame is decoded, two a second become pictures),
and one that somebody looks at after a while (how long the first look takes).

Prints a table; the last line is JSON.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np

from assistant.media.frames import frame_of_pixels
from assistant.media.rtp_audio import AudioReceiver
from assistant.media.rtp_video import VideoReceiver
from assistant.media.video_decoder import VideoCodec
from tests.media.rtp_streams import (
    Picture,
    RtpPacket,
    audio_packets,
    encoded_frames,
    spoken_payloads,
    video_packets,
)

VIDEO = Path(__file__).parent.parent / "data" / "video" / "webcam_sign_please.mp4"
RATE_HZ = 15
LOOKS_PER_S = 2
CODECS: tuple[VideoCodec, ...] = ("VP8", "H264")


def webcam(num_frames: int) -> Iterator[Picture]:
    """Show the recording forwards and backwards at 640x480, as a camera would go on."""
    with av.open(str(VIDEO)) as file:
        shown = [
            np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), (640, 480)), np.uint8)
            for frame in islice(file.decode(video=0), RATE_HZ * 4)
        ]
    yield from islice(cycle([*shown, *reversed(shown)]), num_frames)


def talk(seconds: int) -> list[RtpPacket]:
    return audio_packets(list(islice(cycle(spoken_payloads()), seconds * 50)))


def listen(packets: Sequence[RtpPacket]) -> float:
    """Return the CPU seconds that it takes to hear the packets."""
    audio = AudioReceiver()
    began = time.thread_time()
    for packet in packets:
        audio.packet(packet.sequence, packet.timestamp, packet.payload, packet.sent_s)
        audio.due(packet.sent_s)
        audio.wake_at()
    return time.thread_time() - began


def watch(codec: VideoCodec, packets: Sequence[RtpPacket], *, looks: bool) -> float:
    """Return the CPU seconds that it takes to keep the frames, or to look at them."""
    video = VideoReceiver(codec)
    next_look_s = 0.0
    began = time.thread_time()
    for packet in packets:
        now = packet.sent_s
        video.packet(packet.sequence, packet.timestamp, packet.marker, packet.payload, now)
        video.wants_key_frame(now)
        if looks and now >= next_look_s:
            next_look_s = now + 1 / LOOKS_PER_S
            picture = video.frame_at(now)
            if picture is not None:
                frame_of_pixels(picture.rgb)
    return time.thread_time() - began


def first_look(codec: VideoCodec, packets: Sequence[RtpPacket]) -> tuple[float, int]:
    """Return CPU seconds and number of frames decoded for the first look at the end."""
    video = VideoReceiver(codec)
    for packet in packets:
        video.packet(
            packet.sequence,
            packet.timestamp,
            packet.marker,
            packet.payload,
            packet.sent_s,
        )
    began = time.thread_time()
    assert video.frame_at(1e9) is not None
    return time.thread_time() - began, video.stats().decoded


def main() -> None:
    parser = argparse.ArgumentParser(description="what the media of a call cost")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds = options.seconds
    sound = talk(seconds)
    keys = range(0, seconds * RATE_HZ, 8 * RATE_HZ)  # as often as they are asked for
    cameras = {
        codec: video_packets(
            encoded_frames(list(webcam(seconds * RATE_HZ)), codec, keys=keys), codec
        )
        for codec in CODECS
    }
    costs: dict[str, list[float]] = {}
    looks: dict[str, float] = {}
    for _ in range(options.rounds):
        heard = listen(sound) / seconds
        costs.setdefault("audio", []).append(heard)
        for codec, packets in cameras.items():
            kept = watch(codec, packets, looks=False) / seconds
            seen = watch(codec, packets, looks=True) / seconds
            costs.setdefault(f"audio + {codec}, kept", []).append(heard + kept)
            costs.setdefault(f"audio + {codec}, looked at", []).append(heard + seen)
    for codec, packets in cameras.items():
        ending = [p for p in packets if p.sent_s < 8 * (seconds // 8)]
        took_s, num_frames = first_look(codec, ending)
        looks[codec] = round(took_s * 1000, 1)
        print(f"first look, {codec}: {num_frames} frames in {took_s * 1000:.1f} ms")
    medians = {name: round(statistics.median(values), 5) for name, values in costs.items()}
    for name, median in medians.items():
        print(f"{name:28}{median:9.5f} CPU s per s of a call")
    print(json.dumps({"bench": "rtc_media", "cpu_s_per_s": medians, "look_ms": looks}))


if __name__ == "__main__":
    main()
