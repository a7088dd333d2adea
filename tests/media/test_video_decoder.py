from random import Random

import numpy as np
import pytest

from assistant.media.video_decoder import VideoCodec, VideoDecoder
from tests.media.rtp_streams import encoded_frames, grey

CODECS: tuple[VideoCodec, ...] = ("VP8", "H264")
LEVELS = range(20, 220, 20)


@pytest.mark.parametrize("codec", CODECS)
def test_the_last_of_the_frames_is_shown(codec: VideoCodec) -> None:
    frames = encoded_frames([grey(level) for level in LEVELS], codec)
    decoder = VideoDecoder(codec)
    for upto in (1, 4, len(frames)):
        rgb = VideoDecoder(codec).decode(frames[:upto], 1000)
        assert rgb is not None
        assert rgb.shape == (120, 160, 3)
        assert rgb.dtype == np.uint8
        assert abs(float(rgb.mean()) - LEVELS[upto - 1]) < 6
    for level, frame in zip(LEVELS, frames, strict=True):
        rgb = decoder.decode([frame], 1000)
        assert rgb is not None
        assert abs(float(rgb.mean()) - level) < 6


@pytest.mark.parametrize("codec", CODECS)
def test_a_picture_is_no_larger_than_asked_for_and_keeps_its_shape(
    codec: VideoCodec,
) -> None:
    frames = encoded_frames([grey(90, 640, 480)], codec)
    rgb = VideoDecoder(codec).decode(frames, 320)
    assert rgb is not None
    assert rgb.shape == (240, 320, 3)


@pytest.mark.parametrize("codec", CODECS)
def test_colours_are_what_they_were(codec: VideoCodec) -> None:
    red = np.zeros((120, 160, 3), np.uint8)
    red[:] = (200, 30, 40)
    rgb = VideoDecoder(codec).decode(encoded_frames([red], codec), 1000)
    assert rgb is not None
    assert np.abs(rgb.mean(axis=(0, 1)) - (200, 30, 40)).max() < 12


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_frames_never_raise_and_a_key_frame_is_decoded_after_each(
    codec: VideoCodec,
) -> None:
    rng = Random(2)
    pictures = [grey(100), *[grey(rng.randrange(256)) for _ in range(5)]]
    frames = encoded_frames(pictures, codec)
    decoder = VideoDecoder(codec)
    for _ in range(60):
        damaged = bytearray(rng.choice(frames))
        for _ in range(rng.randrange(1, 8)):
            # Not the first bytes: what they say of the size is checked elsewhere.
            damaged[rng.randrange(min(40, len(damaged) - 1), len(damaged))] = 0x5A
        decoder.decode([bytes(damaged[: rng.randrange(1, len(damaged) + 1)])], 1000)
        rgb = decoder.decode(frames[:1], 1000)
        assert rgb is not None
        assert abs(float(rgb.mean()) - 100) < 6


@pytest.mark.parametrize("codec", CODECS)
def test_an_empty_frame_does_not_end_the_stream(codec: VideoCodec) -> None:
    frames = encoded_frames([grey(100)], codec)
    decoder = VideoDecoder(codec)
    assert decoder.decode([b""], 1000) is None
    assert decoder.decode(frames, 1000) is not None
