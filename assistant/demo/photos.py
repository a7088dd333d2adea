"""Photos for backgrounds, small, and split into those for training and those for scores."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from assistant.demo.scenes import UInt8Array
from assistant.errors import MediaError
from assistant.model.images import open_image

LONGER_SIDE = 400
HELD_OUT_EVERY = 4
MAX_PIXELS = 40_000_000


def read_photos(
    folder: Path | None, say: Callable[[str], None]
) -> tuple[list[UInt8Array], list[UInt8Array]]:
    """Return photos [h, w, 3] to train on and photos held out, in the order of names."""
    photos: list[UInt8Array] = []
    for file in sorted(folder.iterdir()) if folder is not None else ():
        try:
            photo = open_image(file.read_bytes(), max_pixels=MAX_PIXELS)
        except MediaError:  # a list of licences, say
            continue
        scale = LONGER_SIDE / max(photo.shape[:2])
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        photos.append(np.ascontiguousarray(small, dtype=np.uint8))
    if not photos:
        say("absent: photos as backgrounds (give a folder)")
    held_out = photos[::HELD_OUT_EVERY]
    kept = [photo for i, photo in enumerate(photos) if i % HELD_OUT_EVERY]
    return kept, held_out
