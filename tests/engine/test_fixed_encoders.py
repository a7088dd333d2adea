"""Encoders of fixed shapes give what plain ones give; nothing is recorded on a CPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from assistant.config import EngineConfig
from assistant.engine.encoding import Hearing, Sight, begin_hearing, begin_sight, hear, see
from assistant.engine.fixed_encoders import CROP_SIZES, FRAME_STEP, FixedEncoders
from assistant.engine.fixed_steps import Compute, Recorder
from assistant.engine.native_backend import NativeBackend
from assistant.engine.prompt_parts import Clip, Picture
from assistant.model.audio import Frames
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.vision import Patches

CONFIG = EngineConfig(num_slots=2, max_sequence_tokens=640, prefill_chunk_tokens=64)


@pytest.fixture(scope="module")
def model(demo_folder: Path) -> Phi4Multimodal:
    return Phi4Multimodal.load(demo_folder, device="cpu", dtype=torch.float32)


class Tape:
    """Records as a device does: what is repeated reads and writes the same tensors."""

    def __init__(self) -> None:
        self.num_repeated = 0

    def capture(self, compute: Compute) -> Compute:
        out = compute()

        def repeat() -> Tensor:
            self.num_repeated += 1
            return out.copy_(compute())

        return repeat


def fixed_encoders(model: Phi4Multimodal, recorder: Recorder) -> FixedEncoders:
    assert model.audio_encoder is not None
    assert model.image_encoder is not None
    return FixedEncoders(
        model.audio_encoder.encoder, model.image_encoder.img_processor, recorder
    )


def frames_of(model: Phi4Multimodal, count: int, seed: int = 0) -> Frames:
    assert model.audio_encoder is not None
    tower = model.audio_encoder.encoder
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, len(tower.embed.out.weight), generator=generator)
    return Frames(x, tower.relative_attention_bias_layer(count), count)


def patches_of(model: Phi4Multimodal, crops: int, rows: int, cols: int) -> Patches:
    assert model.image_encoder is not None
    tower = model.image_encoder.img_processor
    side = tower.patches * tower.patch_size
    generator = torch.Generator().manual_seed(crops)
    pixels = torch.randn(crops, 3, side, side, generator=generator)
    return tower.begin(pixels, rows, cols)


@pytest.mark.parametrize("count", [1, FRAME_STEP - 1, FRAME_STEP, FRAME_STEP + 1, 70])
@torch.inference_mode()
def test_frames_that_were_filled_up_come_out_as_they_do_alone(
    model: Phi4Multimodal, count: int
) -> None:
    assert model.audio_encoder is not None
    tower = model.audio_encoder.encoder
    plain = frames_of(model, count)
    fixed = fixed_encoders(model, Recorder(None)).hear(plain)
    while plain.num_blocks < len(tower.encoders):
        plain = tower.advance(plain)
    assert torch.allclose(tower.finish(fixed), tower.finish(plain), atol=1e-5)


@pytest.mark.parametrize("crops", [1, 2, 3])
@pytest.mark.parametrize("filling", [(0, 0), (5, 0), (4, 7)])
@torch.inference_mode()
def test_crops_that_were_filled_up_come_out_as_they_do_alone(
    model: Phi4Multimodal, crops: int, filling: tuple[int, int]
) -> None:
    assert model.image_encoder is not None
    tower = model.image_encoder.img_processor
    rows, cols = (tower.patches - missing for missing in filling)
    plain = patches_of(model, crops, rows, cols)
    fixed = fixed_encoders(model, Recorder(None)).see(plain)
    while plain.num_layers < len(tower.layers):
        plain = tower.advance(plain)
    assert torch.allclose(tower.finish(fixed), tower.finish(plain), atol=1e-5)


@torch.inference_mode()
def test_what_came_before_leaves_nothing_behind_even_if_it_was_no_number(
    model: Phi4Multimodal,
) -> None:
    short, few = frames_of(model, 9), patches_of(model, 1, 6, 6)
    alone = fixed_encoders(model, Recorder(None))
    wanted = alone.hear(short).x.clone(), alone.see(few).x.clone()
    used = fixed_encoders(model, Recorder(None))
    long, many = frames_of(model, 32), patches_of(model, 1, 16, 16)
    used.hear(replace(long, x=long.x * torch.nan))
    used.see(replace(many, x=many.x * torch.nan))
    assert torch.equal(used.hear(short).x, wanted[0])
    assert torch.equal(used.see(few).x, wanted[1])


@torch.inference_mode()
def test_after_preparing_nothing_more_is_recorded_and_all_is_repeated(
    model: Phi4Multimodal,
) -> None:
    tape = Tape()
    recorder = Recorder(tape.capture)
    encoders = fixed_encoders(model, recorder)
    encoders.prepare(3 * FRAME_STEP - 5)
    assert recorder.num_graphs == 3 + len(CROP_SIZES)
    plain = fixed_encoders(model, Recorder(None))
    for count in (40, 3, 91, 64):
        frames = frames_of(model, count, seed=count)
        assert torch.equal(encoders.hear(frames).x, plain.hear(frames).x)
    for crops in (2, 1, 4):
        patches = patches_of(model, crops, 7, 8)
        assert torch.equal(encoders.see(patches).x, plain.see(patches).x)
    assert recorder.num_graphs == 3 + len(CROP_SIZES)
    assert tape.num_repeated == 4 + 3


@torch.inference_mode()
def test_what_is_too_much_or_begun_already_is_left_to_others(model: Phi4Multimodal) -> None:
    encoders = fixed_encoders(model, Recorder(None))
    many = patches_of(model, 5, 6, 6)
    assert encoders.see(many) is many
    begun = replace(many, x=many.x[:1], num_layers=1)
    assert encoders.see(begun) is begun
    heard = replace(frames_of(model, 3), num_blocks=1)
    assert encoders.hear(heard) is heard


@pytest.mark.parametrize("seconds", [2, pytest.param(41, marks=pytest.mark.parity)])
@torch.inference_mode()
def test_a_picture_and_a_recording_are_embedded_as_by_the_plain_encoders(
    model: Phi4Multimodal, seconds: int
) -> None:
    """Crops of several shapes; windows of which the last is filled up with silence."""
    eyes, ears, config = model.image_encoder, model.audio_encoder, model.config.vision
    assert eyes is not None
    assert ears is not None
    assert config is not None
    draw = np.random.default_rng(1)
    picture = Picture(draw.integers(0, 256, (430, 300, 3), np.uint8), max_crops=4)
    samples = 0.1 * draw.standard_normal(seconds * 16_000)
    clip = Clip(samples.astype(np.float32))
    encoders = fixed_encoders(model, Recorder(None))
    seen = see(begin_sight(picture, eyes, config), eyes, fixed=encoders)
    heard = hear(begin_hearing(clip, ears), ears, "speech", fixed=encoders)
    assert not isinstance(seen, Sight)
    assert not isinstance(heard, Hearing)
    plain_seen = see(begin_sight(picture, eyes, config), eyes)
    plain_heard = hear(begin_hearing(clip, ears), ears, "speech")
    assert isinstance(plain_seen, Tensor)
    assert isinstance(plain_heard, Tensor)
    assert torch.allclose(seen, plain_seen, atol=1e-5)
    assert torch.allclose(heard, plain_heard, atol=1e-5)


def test_a_backend_of_fixed_shapes_has_them_and_a_plain_one_has_none(
    model: Phi4Multimodal,
) -> None:
    fixed = NativeBackend(model, "demo", CONFIG, fixes_shapes=True)
    assert fixed._encoders is not None
    assert NativeBackend(model, "demo", CONFIG)._encoders is None
