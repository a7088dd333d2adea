"""
What is behind and between a scene and the model: backgrounds, and a cheap camera.

Knows pixels alone.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]

LEAVES_SHARE = 0.3
"""Of made-up backgrounds."""


def background(
    rng: np.random.Generator,
    photos: Sequence[UInt8Array],
    size: tuple[int, int],
    span: float = 1.0,
) -> UInt8Array:
    """
    Return a background [height, width, 3]: a piece of a photo, or a made-up one.

    ``span`` is the share of a picture's width that is looked at.
    """
    width, height = size
    if photos:
        photo = photos[int(rng.integers(len(photos)))]
        scale = span * float(rng.uniform(0.3, 1.0))
        rows, cols = int(photo.shape[0] * scale), int(photo.shape[1] * scale)
        top = int(rng.integers(photo.shape[0] - rows + 1))
        left = int(rng.integers(photo.shape[1] - cols + 1))
        piece = photo[top : top + rows, left : left + cols]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        return np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA), np.uint8)
    base = np.array(_paper(rng))
    kind = rng.random()
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = base
    if kind > 0.35:  # light falls from one side
        y, x = np.mgrid[0:height, 0:width] / max(size)
        angle = rng.uniform(0, 2 * math.pi)
        slope = (x * math.cos(angle) + y * math.sin(angle)) * rng.uniform(10, 70)
        picture += slope[:, :, None]
    if kind > 0.55:  # a texture, coarse or fine
        cells = int(rng.integers(4, 40))
        coarse = rng.normal(0, rng.uniform(4, 22), (cells, cells, 1 if kind < 0.8 else 3))
        texture = cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        picture += texture.reshape(height, width, -1)
    canvas = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    if kind > 0.7:
        _clutter(canvas, rng)
    if span == 1 and rng.random() < LEAVES_SHARE:
        _leaves(canvas, rng)
    return canvas


def _paper(rng: np.random.Generator) -> list[float]:
    """Return a colour that a wall, a table or a sheet may have: seldom a bright one."""
    grey = rng.choice([rng.uniform(150, 255), rng.uniform(0, 255)])
    tint = rng.normal(0, rng.choice([3, 18]), 3)
    return list(np.clip(grey + tint, 0, 255))


def _leaves(canvas: UInt8Array, rng: np.random.Generator) -> None:
    """
    Cover it with jagged flakes of all sizes, none of which has a name here.

    As photos they have edges at every scale, and nothing in them is to be seen. After
    A. Lee, D. Mumford and J. Huang, "Occlusion models for natural images" (2001).
    """
    height, width = canvas.shape[:2]
    spread, middle = float(rng.uniform(10, 60)), canvas.mean((0, 1))
    for _ in range(int(rng.integers(30, 160))):
        radius = 0.025 * max(height, width) * float(rng.uniform(0.02, 1)) ** -0.7
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(5, 11))))
        reach = radius * rng.uniform(0.25, 1, len(angles))
        stretch = float(rng.uniform(0.2, 1))
        points = np.stack([np.cos(angles) * reach, np.sin(angles) * reach * stretch], 1)
        points += rng.uniform(0, 1, 2) * (width, height)
        shade = np.clip(middle + rng.normal(0, spread, 3), 0, 255).tolist()
        cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], shade, cv2.LINE_AA)


def _clutter(canvas: UInt8Array, rng: np.random.Generator) -> None:
    """Add thin lines and specks: things, but none that has a name here."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(2, 12))):
        shade = [int(v) for v in np.clip(canvas.mean() + rng.normal(0, 60, 3), 0, 255)]
        start, end = (
            (int(rng.integers(width)), int(rng.integers(height))) for _ in range(2)
        )
        if rng.random() < 0.6:
            cv2.line(canvas, start, end, shade, int(rng.integers(1, 4)), cv2.LINE_AA)
        else:
            cv2.circle(canvas, start, int(rng.integers(1, 5)), shade, -1, cv2.LINE_AA)


def through_camera(
    picture: UInt8Array, rng: np.random.Generator, span: float = 1.0
) -> UInt8Array:
    """
    Blur, cast a colour on, expose wrongly, add noise and compress [height, width, 3].

    ``span`` is the share of the camera's width that the picture is.
    """
    x: npt.NDArray[np.floating | np.integer] = picture.astype(np.float32)
    scale = picture.shape[1] / 320 / span
    if rng.random() < 0.5:
        x = cv2.GaussianBlur(x, (0, 0), max(float(rng.uniform(0.4, 2.0)) * scale, 0.2))
    elif rng.random() < 0.4:
        length = 1 + max(round(int(rng.integers(2, 8)) * scale), 1)
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, length // 2), 1.0)
        x = cv2.filter2D(x, -1, kernel / kernel.sum())
    x = x * rng.uniform(0.88, 1.12, 3).astype(np.float32)  # the colour of the light
    x = 255 * np.clip(x / 255, 0, 1) ** float(rng.uniform(0.7, 1.45))
    x = x * float(rng.uniform(0.7, 1.15))
    x = x + rng.standard_normal(x.shape, np.float32) * float(rng.uniform(0, 11))
    clipped = np.clip(x, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
    _, encoded = cv2.imencode(".jpg", clipped[:, :, ::-1], quality)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[:, :, ::-1], dtype=np.uint8)
