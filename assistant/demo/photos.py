"""Photos for backgrounds, small, and split into those for training and those for scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from assistant.demo.scenes import UInt8Array
from assistant.errors import MediaError
from assistant.model.images import open_image

LONGER_SIDE = 400
HELD_OUT_EVERY = 4
VARIANTS = 8
MAX_PIXELS = 40_000_000


def read_photos(
    folders: Sequence[Path], say: Callable[[str], None]
) -> tuple[list[UInt8Array], list[UInt8Array]]:
    """Return photos [h, w, 3] to train on and photos held out, some of each folder."""
    kept: list[UInt8Array] = []
    held_out: list[UInt8Array] = []
    for folder in folders:
        photos = _read_folder(folder)
        held_out += photos[::HELD_OUT_EVERY]
        kept += [photo for i, photo in enumerate(photos) if i % HELD_OUT_EVERY]
    if not held_out:
        say("absent: photos as backgrounds (give a folder)")
    return kept, held_out


def _read_folder(folder: Path) -> list[UInt8Array]:
    """Return its photos [h, w, 3], in the order of names."""
    photos: list[UInt8Array] = []
    for file in sorted(folder.iterdir()):
        try:
            photo = open_image(file.read_bytes(), max_pixels=MAX_PIXELS)
        except MediaError:  # a list of licences, say
            continue
        scale = LONGER_SIDE / max(photo.shape[:2])
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        photos.append(np.ascontiguousarray(small, dtype=np.uint8))
    return photos


def varied(photos: Sequence[UInt8Array]) -> list[UInt8Array]:
    """
    Return each photo and others made of it, so that few are as good as many.

    They are turned upside down, in other colours, flatter or harsher, or laid over each
    other; always the same ones.
    """
    rng = np.random.default_rng(len(photos))
    several = list(photos)
    for photo in photos:
        for _ in range(VARIANTS - 1):
            x = photo[:, :, rng.permutation(3)].astype(np.float32)
            if rng.random() < 0.3:
                x = x[::-1]
            if rng.random() < 0.3:
                other = photos[int(rng.integers(len(photos)))]
                other = np.asarray(cv2.resize(other, (x.shape[1], x.shape[0])), np.uint8)
                x = x + float(rng.uniform(0.2, 0.6)) * (other - x)
            if rng.random() < 0.1:
                x = 255 - x
            middle, contrast = float(x.mean()), float(rng.uniform(0.5, 1.4))
            x = middle + contrast * (x - middle) + float(rng.uniform(-40, 40))
            several.append(np.ascontiguousarray(np.clip(x, 0, 255).astype(np.uint8)))
    return several
