"""Streams as a browser sends them: sound and pictures, encoded and cut into packets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from assistant.media import h264
from assistant.media.video_decoder import VideoCodec

Sound = npt.NDArray[np.int16]
"""int16 mono at 48 kHz, [n]."""
Picture = npt.NDArray[np.uint8]
"""uint8 [H, W, 3]."""

RECORDING = (
    Path(__file__).parent.parent
    / "data"
    / "speech"
    / "google_how_old_is_the_brooklyn_bridge.wav"
)
AUDIO_HZ = 48_000
VIDEO_HZ = 90_000
PACKET_TICKS = 960
MAX_PAYLOAD = 1100


@dataclass(frozen=True)
class RtpPacket:
    """What the receivers take, and when it was sent."""

    sequence: int
    timestamp: int
    payload: bytes
    sent_s: float
    marker: bool = False


def tone(duration_s: float, frequency_hz: float = 440.0, level: float = 0.3) -> Sound:
    """Return a tone that swells three times a second, at 48 kHz."""
    at = np.arange(round(duration_s * AUDIO_HZ)) / AUDIO_HZ
    swell = 1 + 0.3 * np.sin(2 * np.pi * 3 * at)
    return (level * 32767 / 1.3 * swell * np.sin(2 * np.pi * frequency_hz * at)).astype(
        np.int16
    )


def opus_payloads(sound: Sound, *, fec: bool = True, ms: int = 20) -> list[bytes]:
    """Encode int16 mono at 48 kHz as a browser does with speech."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = AUDIO_HZ
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.bit_rate = 32_000
    encoder.options = {"application": "voip", "frame_duration": str(ms)}
    if fec:
        encoder.options |= {"fec": "1", "packet_loss": "20"}
    payloads = []
    step = AUDIO_HZ * ms // 1000
    for at in range(0, len(sound) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(
            sound[None, at : at + step], format="s16", layout="mono"
        )
        frame.sample_rate = AUDIO_HZ
        frame.pts = at
        payloads += [bytes(packet) for packet in encoder.encode(frame)]
    return payloads


@cache
def speech() -> Sound:
    """Return a recorded sentence."""
    samples, rate_hz = soundfile.read(RECORDING, dtype="float32")
    at_48: npt.NDArray[np.float32] = soxr.resample(samples, rate_hz, AUDIO_HZ)
    return np.clip(at_48 * 32767, -32768, 32767).astype(np.int16)


@cache
def spoken_payloads() -> list[bytes]:
    """Return a recorded sentence as Opus packets of 20 ms with FEC; encoded once."""
    return opus_payloads(speech())


def audio_packets(
    payloads: Sequence[bytes], *, sequence: int = 0, timestamp: int = 0
) -> list[RtpPacket]:
    """Number packets of 20 ms; each is sent when its sound is over."""
    return [
        RtpPacket(
            sequence + number & 0xFFFF,
            timestamp + number * PACKET_TICKS & 0xFFFFFFFF,
            payload,
            (number + 1) * 0.02,
        )
        for number, payload in enumerate(payloads)
    ]


def grey(level: int, width: int = 160, height: int = 120) -> Picture:
    """Return a picture of one brightness, uint8 [height, width, 3]."""
    return np.full((height, width, 3), level, np.uint8)


def encoded_frames(
    pictures: Sequence[Picture], codec: VideoCodec, *, keys: Sequence[int] = (0,)
) -> list[bytes]:
    """Encode pictures for a call: no delay, key frames only where told."""
    name = {"VP8": "libvpx", "H264": "libx264"}[codec]
    encoder = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    encoder.height, encoder.width, _ = pictures[0].shape
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 15)
    encoder.bit_rate = 800_000
    encoder.gop_size = 10_000
    encoder.thread_count = 1
    encoder.options = (
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        if codec == "VP8"
        else {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": "repeat-headers=1",
        }
    )
    frames = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p"
        )
        frame.pts = number
        frame.time_base = encoder.time_base
        if number in keys:
            frame.pict_type = PictureType.I
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    return frames


def video_packets(
    frames: Sequence[bytes],
    codec: VideoCodec,
    *,
    rate_hz: float = 15.0,
    sequence: int = 0,
    timestamp: int = 0,
    begin_s: float = 0.0,
) -> list[RtpPacket]:
    """Cut frames into packets; all of a frame's are sent when it was captured."""
    cut = {"VP8": vp8_payloads, "H264": h264_payloads}[codec]
    packets: list[RtpPacket] = []
    for number, frame in enumerate(frames):
        at_s = number / rate_hz
        payloads = list(cut(frame))
        for place, payload in enumerate(payloads):
            packets.append(
                RtpPacket(
                    sequence + len(packets) & 0xFFFF,
                    timestamp + round(at_s * VIDEO_HZ) & 0xFFFFFFFF,
                    payload,
                    begin_s + at_s,
                    marker=place == len(payloads) - 1,
                )
            )
    return packets


def vp8_payloads(frame: bytes) -> Iterator[bytes]:
    """Put a descriptor with a 15-bit picture id before every piece (RFC 7741, 4.2)."""
    for at in range(0, len(frame), MAX_PAYLOAD):
        descriptor = bytes([0x90 if at == 0 else 0x80, 0x80, 0x80, 0x07])
        yield descriptor + frame[at : at + MAX_PAYLOAD]


def h264_payloads(frame: bytes) -> Iterator[bytes]:
    """Put small units together (STAP-A) and take large ones apart (FU-A)."""
    small: list[bytes] = []
    for unit in h264.units(frame):
        if len(unit) <= MAX_PAYLOAD // 4:
            small.append(unit)
            continue
        if small:
            yield _stap_a(small)
            small = []
        pieces = range(1, len(unit), MAX_PAYLOAD)
        for at in pieces:
            start, end = at == pieces[0], at == pieces[-1]
            header = unit[0] & 0x1F | start << 7 | end << 6
            yield bytes([unit[0] & 0xE0 | 28, header]) + unit[at : at + MAX_PAYLOAD]
    if small:
        yield small[0] if len(small) == 1 else _stap_a(small)


def _stap_a(units: Sequence[bytes]) -> bytes:
    return bytes([24]) + b"".join(len(u).to_bytes(2, "big") + u for u in units)
