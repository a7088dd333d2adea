"""
The lesson of seeing: what is where in a drawn scene.

First closely, on small pieces of pictures, which cost little; then on whole ones. Every
patch learns which shape and colour it is part of, the middle of a thing which thing it
is, and the eyes learn to tell the language model so (see ``ideal``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from assistant.demo import network, scenes
from assistant.demo.ideal import IMAGE_SIZE, PATCH_SIZE, SIDE, Ideal, middles
from assistant.demo.lessons import Heads, Materials
from assistant.demo.network import Network
from assistant.demo.scenes import COLOURS, SHAPES, Scene, UInt8Array
from assistant.model.images import fit, prepare_image

PHOTO_SHARE = 0.5
CAMERA_SHARE = 0.7
SHOWN_WEIGHT = 1.5
DENSE_WEIGHT = 0.5
IGNORED = -100
SIZES = ((192, 144), (192, 144), (192, 144), (160, 160), (144, 192), (192, 108))
"""Width and height of whole pictures."""
_NUMBERS = (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6)


def draw_pictures(
    several: Sequence[Scene],
    material: Materials,
    rng: np.random.Generator,
    size: tuple[int, int],
    span: float = 1.0,
) -> list[UInt8Array]:
    """Draw scenes as a camera may see them."""
    pictures = []
    for scene in several:
        photos = material.photos if rng.random() < PHOTO_SHARE else ()
        is_camera = bool(rng.random() < CAMERA_SHARE)
        pictures.append(
            scenes.render(scene, rng, photos, size=size, is_camera=is_camera, span=span)
        )
    return pictures


@dataclass(frozen=True, slots=True)
class _Truth:
    """What patches show, as classes: 0 is nothing, ``IGNORED`` is no question."""

    shapes: Tensor
    """[B, h, w]."""
    colours: Tensor
    thing_shapes: Tensor
    """[B, ceil(h / 2), ceil(w / 2)], at the middles of things."""
    thing_colours: Tensor
    places: Tensor
    """As ``thing_shapes``; 3 x 3 places of the whole picture, row by row."""
    ranks: Tensor
    """As ``thing_shapes``; as which of all a thing would be named."""
    counts: Tensor
    """[B]."""

    @classmethod
    def of(
        cls, several: Sequence[Scene], shown: tuple[float, float], rows: int, cols: int
    ) -> "_Truth":
        labels = [scenes.patch_labels(scene, *shown, rows, cols) for scene in several]
        tall, wide = -(-rows // 2), -(-cols // 2)
        things = torch.zeros(4, len(several), tall, wide, dtype=torch.int64)
        things[2:] = IGNORED
        for index, scene in enumerate(several):
            for rank, (row, col, thing) in enumerate(middles(scene, shown)):
                things[0, index, row, col] = SHAPES.index(thing.shape) + 1
                things[1, index, row, col] = list(COLOURS).index(thing.colour) + 1
                things[2, index, row, col] = 3 * thing.cell[0] + thing.cell[1]
                things[3, index, row, col] = rank
        return cls(
            torch.from_numpy(np.stack([label[0] for label in labels])),
            torch.from_numpy(np.stack([label[1] for label in labels])),
            things[0],
            things[1],
            things[2],
            things[3],
            torch.tensor([len(scene) for scene in several]),
        )


def close_loss(
    net: Network, heads: Heads, material: Materials, rng: np.random.Generator, count: int
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of naming what small pieces of pictures show, and shares of hits."""
    side = int(rng.choice([4, 6]))
    least = 0.8 / side
    several = [
        scenes.draw_scene(rng, int(rng.choice([0, 1, 1, 1, 1, 2])), least=least)
        for _ in range(count)
    ]
    size = side * PATCH_SIZE
    drawn = draw_pictures(several, material, rng, (size, size), side / SIDE)
    pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1
    ids = []
    for shown in (int(rng.choice([7, 9, SIDE])), int(rng.choice([9, SIDE]))):
        positions = torch.arange(shown) * SIDE // shown
        start = int(rng.integers((shown - side) // 2 + 1)) * 2
        ids.append(positions[start : start + side])
    tower = net.image_encoder.img_processor
    seen = network.look_closely(tower, pixels.contiguous(), *ids)
    truth = _Truth.of(several, (side, side), side, side)
    return _naming_loss(heads, seen, truth)


def whole_loss(
    net: Network,
    heads: Heads,
    ideal: Ideal,
    material: Materials,
    rng: np.random.Generator,
    count: int,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of saying what pictures show, and shares of hits."""
    several = [scenes.draw_scene(rng, int(rng.choice(_NUMBERS))) for _ in range(count)]
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    pictures = network.stack(
        [
            prepare_image(picture, 1, IMAGE_SIZE, PATCH_SIZE)
            for picture in draw_pictures(several, material, rng, (width, height))
        ]
    )
    place = fit(width, height, 1, IMAGE_SIZE, PATCH_SIZE)
    shown = (place.height / PATCH_SIZE, place.width / PATCH_SIZE)
    # Of the two views of a picture one suffices to learn to see.
    rows, cols = (
        (SIDE, SIDE) if rng.random() < 0.4 else (place.valid_rows, place.valid_cols)
    )
    part = int((rows, cols) == (SIDE, SIDE))
    encoder = net.image_encoder
    seen = network.look(encoder.img_processor, pictures.crops[:, 1 - part], rows, cols)
    truth = _Truth.of(several, shown, *seen.shape[1:3])
    total, scores = _naming_loss(heads, seen, truth)
    pooled = network.pool(seen)
    if bool((truth.places != IGNORED).any()):
        for name, head, wanted in (
            ("place", heads.place, truth.places),
            ("rank", heads.rank, truth.ranks),
        ):
            there = wanted != IGNORED
            logits = head(pooled[there])
            total = total + cross_entropy(logits, wanted[there])
            scores[name] = float((logits.argmax(1) == wanted[there]).float().mean())
    many = heads.count(pooled[:, 0])  # [B, w, MAX_OBJECTS + 1]
    total = total + cross_entropy(
        many.flatten(0, 1), truth.counts[:, None].expand(-1, many.shape[1]).flatten()
    )
    scores["count"] = float((many.mean(1).argmax(1) == truth.counts).float().mean())
    told = network.tell(encoder, pooled)
    meant = torch.stack([ideal.rows(scene, shown, rows, cols) for scene in several])
    # Things are rare, and matter more than the nothing around them.
    is_thing = torch.nn.functional.pad(truth.thing_shapes > 0, (0, 1)).flatten(1)
    error = ((told - meant).square().mean(2) * (0.5 + 3.5 * is_thing)).mean()
    error = error + 0.1 * mse_loss(network.mark(encoder)[0], ideal.marks[1:])
    error = error / ideal.words.var()
    scores["told"] = float(error.detach())
    return total + 2 * error, scores


def _naming_loss(
    heads: Heads, seen: Tensor, truth: _Truth
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of naming shapes and colours in patches [B, h, w, D]."""
    pooled = network.pool(seen)
    total = torch.zeros(())
    scores = {}
    for name, head, hidden, targets, weight in (
        ("patch", heads.shape, seen, truth.shapes, DENSE_WEIGHT),
        ("tint", heads.colour, seen, truth.colours, DENSE_WEIGHT),
        ("shape", heads.thing_shape, pooled, truth.thing_shapes, 1.0),
        ("colour", heads.thing_colour, pooled, truth.thing_colours, 1.0),
    ):
        loss, hits = _class_loss(head, hidden, targets)
        total = total + weight * loss
        scores[name] = hits
    return total, scores


def _class_loss(head: nn.Linear, hidden: Tensor, targets: Tensor) -> tuple[Tensor, float]:
    """Return the loss of naming what patches show, and the share right of what is there."""
    logits, wanted = head(hidden).flatten(0, 2), targets.flatten()
    weight = torch.ones(logits.shape[1])
    weight[0] = 0.3
    loss = cross_entropy(logits, wanted, weight)
    there = wanted > 0
    if not bool(there.any()):
        return loss, float("nan")
    # Among so many patches of nothing, what is there needs a loss of its own.
    loss = loss + SHOWN_WEIGHT * cross_entropy(logits[there], wanted[there])
    return loss, float((logits.argmax(1) == wanted)[there].float().mean())
