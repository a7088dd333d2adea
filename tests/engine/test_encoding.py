from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import torch

from assistant.engine.encoding import (
    Hearing,
    Sight,
    begin_hearing,
    begin_sight,
    hear,
    see,
    time_limit,
)
from assistant.engine.prompt_parts import Clip, Picture
from assistant.errors import MediaError
from assistant.model.features import log_mel
from assistant.model.images import prepare_image
from assistant.model.phi4 import Phi4Multimodal
from assistant.wire import link

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def model(demo_folder: Path) -> Phi4Multimodal:
    return Phi4Multimodal.load(demo_folder, device="cpu", dtype=torch.float32)


def noise(height: int, width: int) -> Picture:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 11, 3), np.uint8)
    rgb = np.asarray(PIL.Image.fromarray(pixels).resize((width, height)))
    return Picture(rgb, max_crops=4)


def at_once_over() -> bool:
    """Stop after every layer."""
    return True


def test_a_limit_is_over_when_its_time_has_passed() -> None:
    assert not time_limit(1000.0, "cpu")()
    assert time_limit(0.0, "cpu")()


def noisy(num_samples: int) -> npt.NDArray[np.float32]:
    samples = 0.1 * np.random.default_rng(2).standard_normal(num_samples)
    return samples.astype(np.float32)


@pytest.mark.parametrize("size", [(224, 224), (150, 400), (430, 420)])
@torch.inference_mode()
def test_a_picture_seen_layer_by_layer_is_the_picture_seen_at_once(
    model: Phi4Multimodal, size: tuple[int, int]
) -> None:
    encoder, vision = model.image_encoder, model.config.vision
    assert encoder is not None
    assert vision is not None
    picture = noise(*size)
    state: Sight | torch.Tensor = begin_sight(picture, encoder, vision)
    num_steps = 0
    while isinstance(state, Sight):
        state = see(state, encoder, at_once_over)
        num_steps += 1
    image = prepare_image(picture.rgb, 4, vision.image_size, vision.patch_size)
    rows, cols = image.grid
    num_crops = 1 if rows * cols == 1 else 1 + rows * cols
    # One that ends with its last layer is followed by another in a stretch of its own.
    assert num_steps == num_crops * len(encoder.img_processor.layers)
    torch.testing.assert_close(state, encoder(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "duration_s", [0.5, 40.05, pytest.param(83.0, marks=pytest.mark.parity)]
)
@torch.inference_mode()
def test_a_recording_heard_block_by_block_is_the_one_heard_at_once(
    model: Phi4Multimodal, duration_s: float
) -> None:
    encoder = model.audio_encoder
    assert encoder is not None
    clip = Clip(noisy(int(duration_s * RATE_HZ)))
    state: Hearing | torch.Tensor = begin_hearing(clip, encoder)
    num_steps = 0
    while isinstance(state, Hearing):
        state = hear(state, encoder, "speech", at_once_over)
        num_steps += 1
    num_windows = -(-int(duration_s * 1000) // 40_015)
    assert num_steps == num_windows * len(encoder.encoder.encoders)
    at_once = encoder(torch.from_numpy(log_mel(clip.samples)), "speech")
    torch.testing.assert_close(state, at_once, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "num_more",
    [
        *(0, 200),
        *(pytest.param(n, marks=pytest.mark.parity) for n in (5000, 641_000)),
    ],
)
@torch.inference_mode()
def test_a_recording_that_came_in_parts_is_the_one_that_came_at_once(
    model: Phi4Multimodal, num_more: int
) -> None:
    """As its windows come while somebody speaks, and all together at the end."""
    encoder = model.audio_encoder
    assert encoder is not None
    whole = noisy(link.AUDIO_WINDOW_SAMPLES + link.AUDIO_OVERHANG_SAMPLES + num_more)
    parts = in_parts(whole)
    assert len(parts) == (1 if num_more < 160 else 2 if num_more < 640_000 else 3)
    heard = []
    for part in parts:
        state: Hearing | torch.Tensor = begin_hearing(part, encoder)
        while isinstance(state, Hearing):
            state = hear(state, encoder, "speech")
        heard.append(state)
    at_once = encoder(torch.from_numpy(log_mel(whole)), "speech")
    torch.testing.assert_close(torch.cat(heard), at_once, atol=1e-5, rtol=1e-5)


def in_parts(samples: npt.NDArray[np.float32]) -> list[Clip]:
    """Cut a recording as the link says that it may be."""
    windows, overhang = link.AUDIO_WINDOW_SAMPLES, link.AUDIO_OVERHANG_SAMPLES
    starts = range(0, max(1, len(samples) - overhang - 159), windows)
    return [
        Clip(
            samples[
                max(0, start - link.AUDIO_CONTEXT_SAMPLES) : start + windows + overhang
            ],
            is_continuation=start > 0,
        )
        for start in starts
    ]


@torch.inference_mode()
def test_a_stretch_that_failed_can_be_tried_again(model: Phi4Multimodal) -> None:
    encoder = model.audio_encoder
    assert encoder is not None
    samples = np.zeros(41 * RATE_HZ, np.float32)
    limit = iter([*[False] * len(encoder.encoder.encoders), True])
    state = hear(
        begin_hearing(Clip(samples), encoder), encoder, "speech", lambda: next(limit)
    )
    assert isinstance(state, Hearing)
    assert len(state.embeds) == 1
    samples[-8000] = np.nan
    with pytest.raises(MediaError, match="not within"):
        hear(state, encoder, "speech")
    samples[-8000] = 0.0
    assert isinstance(hear(state, encoder, "speech"), torch.Tensor)
