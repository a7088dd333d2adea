"""
Pictures and recordings through their encoders, one bounded stretch at a time.

Nobody's next token waits for a whole photo or half an hour of sound: a picture is encoded
crop by crop, a recording in its windows of 40 s, which the model keeps apart anyway. What
comes out is what encoding everything at once gives. States are frozen, so that a stretch
that failed can be tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from assistant.engine.prompt_parts import Clip, Picture
from assistant.model.audio import AudioEncoder, AudioWindow, Projector, split_windows
from assistant.model.config import VisionConfig
from assistant.model.features import log_mel, num_mel_frames, sample_range
from assistant.model.images import PreparedImage, prepare_image
from assistant.model.vision import CropGroup, ImageEncoder

CROPS_PER_STEP = {"cpu": 1}
"""A crop takes the real model a second of one CPU core, and a GPU some milliseconds."""
CROPS_PER_STEP_ELSEWHERE = 4


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture of which some crops have been encoded."""

    image: PreparedImage
    left: tuple[CropGroup, ...]
    encoded: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hearing:
    """A recording of which some windows have been embedded, [T, H] each."""

    clip: Clip
    left: tuple[AudioWindow, ...]
    embeds: tuple[Tensor, ...] = ()


def begin_sight(picture: Picture, encoder: ImageEncoder, config: VisionConfig) -> Sight:
    """Cut a picture into crops."""
    image = prepare_image(
        picture.rgb, picture.max_crops, config.image_size, config.patch_size
    )
    device = encoder.img_projection_up.weight.device.type
    max_crops = CROPS_PER_STEP.get(device, CROPS_PER_STEP_ELSEWHERE)
    return Sight(image, tuple(encoder.groups(image, max_crops)))


def see(sight: Sight, encoder: ImageEncoder) -> Sight | Tensor:
    """Encode the next crops; return the embeddings [N, H] after the last ones."""
    group, *left = sight.left
    encoded = {**sight.encoded, **encoder.encode_group(sight.image, group)}
    if left:
        return replace(sight, left=tuple(left), encoded=encoded)
    return encoder.assemble(sight.image, encoded)


def begin_hearing(clip: Clip, encoder: AudioEncoder) -> Hearing:
    """Cut a recording into windows."""
    windows = split_windows(
        num_mel_frames(clip.samples.size),
        encoder.config,
        is_continuation=clip.is_continuation,
    )
    return Hearing(clip, tuple(windows))


def hear(hearing: Hearing, encoder: AudioEncoder, projector: Projector) -> Hearing | Tensor:
    """
    Embed the next window; return the embeddings [N, H] after the last one.

    Raises:
        MediaError: ``audio_invalid``, the samples are no sound.
    """
    window, *left = hearing.left
    samples = hearing.clip.samples[sample_range(window.mel_start, window.mel_stop)]
    features = torch.from_numpy(log_mel(samples))
    hidden = encoder.encode_window_features(features, window)
    embeds = (*hearing.embeds, encoder.project(hidden, projector))
    if left:
        return replace(hearing, left=tuple(left), embeds=embeds)
    return torch.cat(embeds)
