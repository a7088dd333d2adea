"""Initial weights of the eyes that are not drawn by chance."""

import math

import torch
from torch import Tensor


def filters(count: int, side: int) -> Tensor:
    """
    Return a discrete cosine transform of patches: [count, 3, side, side].

    The lowest frequencies, of the brightness more than of the colours, and the higher the
    louder, as there is less of them in any picture: edges, which shapes are known by, can
    be learned from at once.
    """
    steps = (torch.arange(side) + 0.5) * torch.pi / side
    waves = torch.cos(torch.arange(side)[:, None] * steps)
    waves = waves / waves.norm(dim=1, keepdim=True)  # [frequency, place]
    pairs = [(u, v) for u in range(side) for v in range(side)]
    pairs.sort(key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair))
    filters = []
    hues = torch.tensor([[1.0, 1, 1], [1, -1, 0], [-0.5, -0.5, 1]])
    shares = (count - 2 * (count // 5), count // 5, count // 5)
    for hue, share in zip(hues, shares, strict=True):
        for u, v in pairs[:share]:
            loudness = (0.5 + math.hypot(u, v)) * 0.5
            wave = waves[u][:, None] * waves[v]
            filters.append(loudness * (hue / hue.norm())[:, None, None] * wave)
    return torch.stack(filters)


def waves(side: int, size: int) -> Tensor:
    """Return positions of side x side patches as sines and cosines: [side ** 2, size]."""
    frequencies = torch.logspace(0, -1.3, size // 4) * torch.pi / 2
    angles = torch.arange(side)[:, None] * frequencies  # [side, size / 4]
    along = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = along[:, None].expand(-1, side, -1)
    cols = along[None].expand(side, -1, -1)
    return torch.cat([rows, cols], dim=2).flatten(0, 1)
