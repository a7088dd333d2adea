"""
Other speakers, rooms, microphones and telephones, made of log-mel features.

Everything happens to a batch at once: one bilinear resampling changes tempo and vocal
tract and puts each clip at its place in time; the rest adds log gains or powers.
Silence is 0 in these features and nothing is below it (see ``features.log_mel``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from assistant.model.features import NUM_MELS, TOP_HZ

Float16Array = npt.NDArray[np.float16]

DECIBEL = float(np.log(10) / 10)
LEAD_FRAMES, TAIL_FRAMES = (5, 42), (5, 45)
"""Silence around the speech: what voice activity detection leaves, give or take."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Where the clips of a batch come to lie in it, in frames of 10 ms."""

    num_frames: int
    starts: Tensor
    """[B]; the clip begins here."""
    tempos: Tensor
    """[B]; frames of the clip per frame of the batch."""


def place(
    lengths: Sequence[int], rng: np.random.Generator, *, varied: bool = True
) -> Placing:
    """Lay out clips of so many frames; all get the same, no frame is padding."""
    count = len(lengths)
    tempos = rng.uniform(0.85, 1.2, count) if varied else np.ones(count)
    lasting = np.array(lengths) / tempos
    lead = rng.uniform(*LEAD_FRAMES, count) if varied else np.full(count, 30.0)
    tail = rng.uniform(*TAIL_FRAMES, count) if varied else np.full(count, 20.0)
    num_frames = int(np.ceil((lasting + lead + tail).max()))
    slack = num_frames - (lasting + lead + tail)
    starts = lead + slack * (rng.uniform(0, 1, count) if varied else 0.5)
    return Placing(
        num_frames,
        torch.from_numpy(starts).float(),
        torch.from_numpy(tempos).float(),
    )


def _stacked(clips: Sequence[Float16Array]) -> Tensor:
    stacked = torch.zeros(len(clips), max(map(len, clips)), NUM_MELS)
    for row, clip in enumerate(clips):
        stacked[row, : len(clip)] = torch.from_numpy(clip.astype(np.float32))
    return stacked


def lay_out(clips: Sequence[Float16Array], placing: Placing, warps: Tensor) -> Tensor:
    """
    Resample clips into a batch.

    Args:
        clips: Log-mel features [n, 80] each.
        placing: Where and how fast.
        warps: [B]; formants move by this factor on the mel scale.

    Returns:
        [B, placing.num_frames, 80], 0 where there is no clip.
    """
    stacked = _stacked(clips)
    times = torch.arange(placing.num_frames)[None] - placing.starts[:, None]
    times = times * placing.tempos[:, None]  # [B, T], in frames of the clip
    mels = torch.arange(NUM_MELS)[None] * warps[:, None]  # [B, 80]
    mels = mels.clamp(max=NUM_MELS - 1)
    # Pixel centres, as grid_sample counts them without align_corners.
    y = (2 * times + 1) / stacked.shape[1] - 1
    x = (2 * mels + 1) / NUM_MELS - 1
    grid = torch.stack(
        (
            x[:, None].expand(-1, placing.num_frames, -1),
            y[:, :, None].expand(-1, -1, NUM_MELS),
        ),
        dim=-1,
    )
    return grid_sample(stacked[:, None], grid, align_corners=False)[:, 0]


def quietly(clips: Sequence[Float16Array], rng: np.random.Generator) -> Tensor:
    """Return clips as they are, in a quiet room: [B, T, 80]."""
    placing = place([len(clip) for clip in clips], rng, varied=False)
    mels = lay_out(clips, placing, torch.ones(len(clips)))
    floor = noise_floor(rng, (len(clips), placing.num_frames, NUM_MELS))
    level = torch.from_numpy(rng.uniform(1, 5, (len(clips), 1, 1))).float()
    return torch.logaddexp(mels, floor + level).clamp(min=0)


def disturb(
    mels: Tensor, noises: Tensor, rng: np.random.Generator, strength: float = 1.0
) -> Tensor:
    """
    Pass speech [B, T, 80] through rooms, microphones and noise; silence stays >= 0.

    Args:
        mels: Log-mel features.
        noises: Log-mel features of noise, of the same shape; a third of the rows use it.
        rng: Decides how much of what.
        strength: From 0, a quiet room, to 1.
    """
    count, num_frames, _ = mels.shape

    def drawn(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, 1, 1))).float()

    def some(share: float) -> Tensor:
        return torch.from_numpy(rng.random((count, 1, 1)) < share * strength)

    level = mels.amax(dim=(1, 2), keepdim=True)
    decay, is_reverberant = drawn(0.5, 0.93), some(0.35)[:, 0, 0]
    x = mels.clone()
    x[is_reverberant] = _reverberant(mels[is_reverberant], decay[is_reverberant])
    band = torch.linspace(-1, 1, NUM_MELS)
    x = x + strength * drawn(-1.5, 1.5) * band  # spectral tilt
    phase = drawn(0, 6.28)
    x = x + strength * drawn(0, 1.0) * torch.cos(
        drawn(2, 12) * band + phase
    )  # an equaliser
    gain = strength * drawn(-30, 8) * DECIBEL
    x = (x + gain).clamp(min=0)
    floor = noise_floor(rng, (count, num_frames, NUM_MELS))
    # From hardly audible below the speech to nothing at all.
    below = (level + gain) - drawn(15 + 25 * (1 - strength), 70) * DECIBEL
    x = torch.logaddexp(x, floor + below)
    loud = noises.amax(dim=(1, 2), keepdim=True)
    noisy = torch.logaddexp(x, noises - loud + level + gain - drawn(5, 30) * DECIBEL)
    x = torch.where(some(0.33), noisy, x)
    x = torch.where(some(0.25), _telephone(x, rng), x)
    return (_hidden_bits(x, rng) if strength > 0.5 else x).clamp(min=0)


def noise_floor(rng: np.random.Generator, shape: tuple[int, int, int]) -> Tensor:
    """Return steady noise of some colour, 0 dB in its middle."""
    colour = torch.from_numpy(rng.uniform(-2, 2, (shape[0], 1, 1))).float()
    band = torch.linspace(-1, 1, NUM_MELS)
    power = torch.from_numpy(rng.standard_gamma(3, shape, np.float32))
    return (power / 3).log() + colour * band


def _reverberant(mels: Tensor, decay: Tensor) -> Tensor:
    """Let power ring on: it falls by ``decay`` [B, 1, 1] from frame to frame (10 ms)."""
    frame = torch.arange(mels.shape[1])
    age = frame[:, None] - frame  # [T, T]
    tails = decay ** age.clamp(min=0) * (age >= 0)
    power = mels.exp()
    return (power + math.exp(-1.5) * (tails @ power)).log()


def _telephone(mels: Tensor, rng: np.random.Generator) -> Tensor:
    """Keep 300 Hz to 3400-4000 Hz."""
    scale = NUM_MELS / np.log1p(TOP_HZ / 700)
    low = int(scale * np.log1p(rng.uniform(60, 300) / 700))
    high = int(scale * np.log1p(rng.uniform(3300, 4000) / 700))
    cut = mels.clone()
    cut[:, :, :low] -= 4
    cut[:, :, high:] = rng.uniform(0, 3)
    return cut


def _hidden_bits(mels: Tensor, rng: np.random.Generator) -> Tensor:
    """Hide a short time and a few bands, so that no single clue decides."""
    hidden = mels.clone()
    mean = mels.mean(dim=(1, 2))
    for row in range(len(hidden)):
        if rng.random() < 0.4:
            low, width = int(rng.integers(0, 72)), int(rng.integers(2, 10))
            hidden[row, :, low : low + width] = mean[row]
        if rng.random() < 0.3:
            start, width = int(rng.integers(0, mels.shape[1])), int(rng.integers(2, 8))
            hidden[row, start : start + width] = mean[row]
    return hidden
