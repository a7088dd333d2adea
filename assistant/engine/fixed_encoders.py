"""
Encoders whose shapes are always the same, so that a CUDA device can repeat them as graphs.

What ``fixed_steps`` is for the decoder: a window of sound is filled up to the next multiple
of ``FRAME_STEP`` frames, crops of a picture to the next of ``CROP_SIZES`` and each of them
to a whole one. Nothing depends on what only fills up, because attention gives it no weight,
convolutions look back and all else is done frame by frame. It is zeros all the same: no
weight times no number would be no number.

Recorded are the layers, which are nearly all of the kernels. What comes before and after
them (subsampling, patches, pooling, projection) depends on the real size and stays plain.
"""

from dataclasses import replace

import torch
from torch import Tensor

from assistant.engine.fixed_steps import Recorder, next_size
from assistant.model.audio import AudioTower, Frames
from assistant.model.vision import Patches, VisionTower

FRAME_STEP = 32
CROP_SIZES = (1, 2, 4)


class FixedFrames:
    """The blocks of the Conformer over up to ``size`` frames of one window."""

    def __init__(self, tower: AudioTower, size: int, recorder: Recorder) -> None:
        weight = tower.embed.out.weight
        bias = tower.relative_attention_bias_layer(size)
        self._x = torch.zeros(size, len(weight), dtype=weight.dtype, device=weight.device)
        self._num_frames = torch.full((1,), size, device=weight.device)
        index = torch.arange(size, device=weight.device)

        def compute() -> Tensor:
            x, seen = self._x, torch.where(index < self._num_frames, bias, -torch.inf)
            for block in tower.encoders:
                x = block(x, seen)
            return x

        self._compute = recorder.record(compute)

    def run(self, x: Tensor) -> Tensor:
        """Return ``x`` [T, D] behind all blocks, to be read before anything is repeated."""
        num_frames = len(x)
        self._x[:num_frames] = x
        self._x[num_frames:] = 0
        self._num_frames.fill_(num_frames)
        return self._compute()[:num_frames]


class FixedPatches:
    """The layers of the vision tower over up to ``size`` crops of one shape."""

    def __init__(self, tower: VisionTower, size: int, recorder: Recorder) -> None:
        weight = tower.embeddings.position_embedding.weight
        shape = (size, *weight.shape)
        self._x = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        self._is_seen = torch.ones(1, len(weight), dtype=torch.bool, device=weight.device)

        def compute() -> Tensor:
            x = self._x
            for layer in tower.layers:
                x = layer(x, None, self._is_seen)
            return x

        self._compute = recorder.record(compute)

    def run(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """
        Return ``x`` [B, T, D] behind all layers, to be read before anything is repeated.

        ``valid`` says which of the T may be looked at, None for all.
        """
        num_crops, num_patches, _ = x.shape
        self._x.zero_()
        self._x[:num_crops, :num_patches] = x
        self._is_seen.zero_()
        if valid is None:
            self._is_seen[:, :num_patches] = True
        else:
            self._is_seen[:, valid] = True
        return self._compute()[:num_crops, :num_patches]


class FixedEncoders:
    """All sizes of both, built when they are first needed."""

    def __init__(
        self, ears: AudioTower | None, eyes: VisionTower | None, recorder: Recorder
    ) -> None:
        """Prepare for the towers that there are."""
        self._ears = ears
        self._eyes = eyes
        self._recorder = recorder
        self._frames: dict[int, FixedFrames] = {}
        self._patches: dict[int, FixedPatches] = {}

    def hear(self, frames: Frames) -> Frames:
        """Return them behind all blocks."""
        assert self._ears is not None
        if frames.num_blocks:
            return frames
        size = -(-len(frames.x) // FRAME_STEP) * FRAME_STEP
        x = self._frames_of(size).run(frames.x)
        return replace(frames, x=x, num_blocks=len(self._ears.encoders))

    def see(self, patches: Patches) -> Patches:
        """Return them behind all layers; as they are if they are too many crops."""
        assert self._eyes is not None
        size = next_size(len(patches.x), CROP_SIZES)
        if size is None or patches.num_layers:
            return patches
        x = self._patches_of(size).run(patches.x, patches.valid)
        return replace(patches, x=x, num_layers=len(self._eyes.layers))

    def _frames_of(self, size: int) -> FixedFrames:
        assert self._ears is not None
        if size not in self._frames:
            self._frames[size] = FixedFrames(self._ears, size, self._recorder)
        return self._frames[size]

    def _patches_of(self, size: int) -> FixedPatches:
        assert self._eyes is not None
        if size not in self._patches:
            self._patches[size] = FixedPatches(self._eyes, size, self._recorder)
        return self._patches[size]

    def prepare(self, window_frames: int) -> None:
        """Build and record all sizes, of sound up to a window, so that no turn waits."""
        if self._ears is not None:
            for size in range(FRAME_STEP, window_frames + FRAME_STEP, FRAME_STEP):
                self._frames_of(size)
        if self._eyes is not None:
            for size in CROP_SIZES:
                self._patches_of(size)
