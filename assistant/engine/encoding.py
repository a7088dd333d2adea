"""
Pictures and recordings through their encoders, one bounded stretch at a time.

Nobody's next token waits for a whole photo or half an hour of sound: a picture is encoded
crop by crop, a recording in its windows of 40 s, which the model keeps apart anyway, and
each of these layer by layer until the time is over. What comes out is what encoding
everything at once gives. States are frozen, so that a stretch that failed can be tried
again. With ``FixedEncoders`` a group of crops, or a window, is one stretch.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from assistant.engine.fixed_encoders import FixedEncoders
from assistant.engine.prompt_parts import Clip, Picture
from assistant.model.audio import (
    AudioEncoder,
    AudioWindow,
    Frames,
    Projector,
    split_windows,
)
from assistant.model.config import VisionConfig
from assistant.model.features import log_mel, num_mel_frames, sample_range
from assistant.model.images import PreparedImage, prepare_image
from assistant.model.vision import CropGroup, ImageEncoder, Patches

CROPS_TOGETHER = {"cpu": 1}
CROPS_TOGETHER_ELSEWHERE = 4
"""One by one a CPU is as fast, and sooner at a point where it can stop."""

Limit = Callable[[], bool]
"""Asked after every layer: is the stretch long enough?"""


def never() -> bool:
    """Let a stretch go on to the end."""
    return False


def time_limit(seconds: float, device: str) -> Limit:
    """Return a limit for a stretch that begins now; the device's work counts."""
    is_cuda = torch.device(device).type == "cuda"
    deadline = time.perf_counter() + seconds

    def is_over() -> bool:
        if is_cuda:  # else only the launches are timed
            torch.cuda.synchronize(device)
        return time.perf_counter() >= deadline

    return is_over


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture of which some crops have been encoded."""

    image: PreparedImage
    left: tuple[CropGroup, ...]
    encoded: Mapping[int, Tensor] = field(default_factory=dict)
    patches: Patches | None = None
    """Of the first group that is left, if it is on its way."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """A recording of which some windows have been embedded, [T, H] each."""

    clip: Clip
    left: tuple[AudioWindow, ...]
    embeds: tuple[Tensor, ...] = ()
    frames: Frames | None = None
    """Of the first window that is left, if it is on its way."""


def begin_sight(picture: Picture, encoder: ImageEncoder, config: VisionConfig) -> Sight:
    """Cut a picture into crops."""
    image = prepare_image(
        picture.rgb, picture.max_crops, config.image_size, config.patch_size
    )
    device = encoder.img_projection_up.weight.device.type
    max_crops = CROPS_TOGETHER.get(device, CROPS_TOGETHER_ELSEWHERE)
    return Sight(image, tuple(encoder.groups(image, max_crops)))


def see(
    sight: Sight,
    encoder: ImageEncoder,
    is_over: Limit = never,
    fixed: FixedEncoders | None = None,
) -> Sight | Tensor:
    """Encode more of a picture; return the embeddings [N, H] at its end."""
    tower = encoder.img_processor
    while True:
        group, *left = sight.left
        patches = sight.patches or encoder.begin_group(sight.image, group)
        if fixed is not None:
            patches = fixed.see(patches)
        while patches.num_layers < len(tower.layers):
            patches = tower.advance(patches)
            if is_over():
                break
        if patches.num_layers < len(tower.layers):
            return replace(sight, patches=patches)
        crops = zip(group.crops, tower.finish(patches), strict=True)
        encoded = {**sight.encoded, **dict(crops)}
        if not left:
            return encoder.assemble(sight.image, encoded)
        sight = Sight(sight.image, tuple(left), encoded)
        if is_over():
            return sight


def begin_hearing(clip: Clip, encoder: AudioEncoder) -> Hearing:
    """Cut a recording into windows."""
    windows = split_windows(
        num_mel_frames(clip.samples.size),
        encoder.config,
        is_continuation=clip.is_continuation,
    )
    return Hearing(clip, tuple(windows))


def hear(
    hearing: Hearing,
    encoder: AudioEncoder,
    projector: Projector,
    is_over: Limit = never,
    fixed: FixedEncoders | None = None,
) -> Hearing | Tensor:
    """
    Embed more of a recording; return the embeddings [N, H] at its end.

    Raises:
        MediaError: ``audio_invalid``, the samples are no sound.
    """
    tower = encoder.encoder
    while True:
        window, *left = hearing.left
        frames = hearing.frames or _begin_window(hearing.clip, window, encoder)
        if fixed is not None:
            frames = fixed.hear(frames)
        while frames.num_blocks < len(tower.encoders):
            frames = tower.advance(frames)
            if is_over():
                break
        if frames.num_blocks < len(tower.encoders):
            return replace(hearing, frames=frames)
        embeds = (*hearing.embeds, encoder.project(tower.finish(frames), projector))
        if not left:
            return torch.cat(embeds)
        hearing = Hearing(hearing.clip, tuple(left), embeds)
        if is_over():
            return hearing


def _begin_window(clip: Clip, window: AudioWindow, encoder: AudioEncoder) -> Frames:
    samples = clip.samples[sample_range(window.mel_start, window.mel_stop)]
    return encoder.begin_window(torch.from_numpy(log_mel(samples)), window)
