"""
The pictures of the demo's world: what is in a scene, and drawing it.

A scene is facts (shape, colour, place); a picture of it is drawn anew each time, on some
background and through some camera. Knows no question and no network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from assistant.demo import surroundings

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "cross",
    "house",
    "tree",
    "car",
    "cup",
)
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 25, 30),
    "green": (25, 150, 50),
    "blue": (25, 70, 215),
    "yellow": (245, 220, 25),
    "orange": (250, 130, 10),
    "purple": (125, 35, 165),
    "pink": (250, 135, 190),
    "brown": (115, 65, 25),
    "black": (15, 15, 15),
    "white": (248, 248, 248),
}
ROWS = ("at the top", "", "at the bottom")
COLUMNS = ("on the left", "", "on the right")
MAX_OBJECTS = 6
_OVERSAMPLED = 4  # bits of sub-pixel precision for OpenCV


@dataclass(frozen=True, slots=True)
class Thing:
    """One drawn object; lengths are fractions of the picture's sides."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    """Of the shorter side."""
    angle: float
    """Radians, counter-clockwise."""

    @property
    def cell(self) -> tuple[int, int]:
        """Row and column of the 3 x 3 places that its centre is in."""
        return min(int(self.y * 3), 2), min(int(self.x * 3), 2)


Scene = tuple[Thing, ...]
"""Empty: there is nothing to see."""


def in_reading_order(scene: Scene) -> list[Thing]:
    """Return things as one reads: row by row of the 3 x 3 places, from left to right."""
    return sorted(scene, key=lambda thing: (thing.cell, thing.x))


def draw_scene(
    rng: np.random.Generator,
    num_things: int,
    *,
    same_colour: bool = False,
    least: float = 0.1,
    shapes: Sequence[str] = SHAPES,
) -> Scene:
    """Draw facts of a scene of so many things, which do not touch and differ in shape."""
    things: list[Thing] = []
    largest = (0.34, 0.24, 0.19, 0.16, 0.14, 0.13)[max(num_things - 1, 0)]
    colours = rng.permutation(list(COLOURS))
    names = rng.permutation(list(shapes))
    attempts = 0
    while len(things) < num_things:
        attempts += 1
        radius = float(rng.uniform(least, largest)) * (0.98**attempts)
        row, col = rng.integers(0, 3, 2)
        # Well inside of a place: no answer should depend on a hair's breadth.
        x, y = ((cell + rng.uniform(0.22, 0.78)) / 3 for cell in (col, row))
        x = float(np.clip(x, 0.75 * radius, 1 - 0.75 * radius))
        y = float(np.clip(y, radius, 1 - radius))
        if not all(0.2 <= 3 * at % 1 <= 0.8 for at in (x, y)):
            continue  # pushed to the edge of its place, for which it is too large
        if any(
            math.hypot((x - t.x) * 4 / 3, y - t.y) < 1.15 * (radius + t.radius)
            for t in things
        ):
            continue
        index = len(things)
        things.append(
            Thing(
                shape=str(names[index % len(names)]),
                colour=str(colours[0 if same_colour else index % len(colours)]),
                x=x,
                y=y,
                radius=max(radius, 0.08),
                angle=float(rng.normal(0, 0.25)),
            )
        )
    return tuple(things)


def outlines(thing: Thing, width: float, height: float) -> list[Float32Array]:
    """Return the polygons [n, 2] of a thing, in pixels; all have its colour."""
    radius = thing.radius * min(width, height)
    cos, sin = math.cos(thing.angle), math.sin(thing.angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([thing.x * width, thing.y * height])
    return [
        (np.array(polygon, dtype=np.float64) * radius @ turn + centre).astype(np.float32)
        for polygon in _POLYGONS[thing.shape]
    ]


def _ring(radius: float, x: float = 0, y: float = 0) -> list[tuple[float, float]]:
    steps = np.linspace(0, 2 * math.pi, 32, endpoint=False)
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in steps]


def _star() -> list[tuple[float, float]]:
    radii = (1.0, 0.42) * 5
    return [
        (r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5))
        for i, r in enumerate(radii)
    ]


def _heart() -> list[tuple[float, float]]:
    steps = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return [
        (
            math.sin(a) ** 3,
            -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a)) / 16 + 0.1,
        )
        for a in steps
    ]


_POLYGONS: dict[str, list[list[tuple[float, float]]]] = {
    "circle": [_ring(0.95)],
    "square": [[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]],
    "triangle": [[(0, -1), (0.95, 0.8), (-0.95, 0.8)]],
    "star": [_star()],
    "heart": [_heart()],
    "cross": [
        [(-0.3, -1), (0.3, -1), (0.3, 1), (-0.3, 1)],
        [(-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)],
    ],
    "house": [
        [(-0.65, -0.1), (0.65, -0.1), (0.65, 0.95), (0.2, 0.95), (0.2, 0.4),
         (-0.2, 0.4), (-0.2, 0.95), (-0.65, 0.95)],
        [(0, -1), (1, -0.1), (-1, -0.1)],
    ],
    "tree": [
        [(-0.16, 0.2), (0.16, 0.2), (0.16, 1), (-0.16, 1)],
        _ring(0.42, -0.4, -0.05),
        _ring(0.42, 0.4, -0.05),
        _ring(0.48, 0, -0.5),
    ],
    "car": [
        [(-1, -0.05), (1, -0.05), (1, 0.4), (-1, 0.4)],
        [(-0.55, -0.05), (-0.35, -0.5), (0.35, -0.5), (0.6, -0.05)],
        _ring(0.25, -0.55, 0.45),
        _ring(0.25, 0.55, 0.45),
    ],
    "cup": [
        [(-0.75, -0.7), (0.45, -0.7), (0.35, 0.8), (-0.65, 0.8)],
        [(0.4, -0.45), (0.95, -0.45), (0.95, 0.4), (0.38, 0.4), (0.38, 0.2),
         (0.74, 0.2), (0.74, -0.25), (0.4, -0.25)],
    ],
}  # fmt: skip


def render(
    scene: Scene,
    rng: np.random.Generator,
    photos: Sequence[UInt8Array] = (),
    *,
    size: tuple[int, int] = (320, 240),
    is_camera: bool = False,
    span: float = 1.0,
) -> UInt8Array:
    """
    Draw a scene: [height, width, 3] uint8 RGB.

    Args:
        scene: What to draw.
        rng: Decides the background, the shades and the camera.
        photos: Backgrounds; without any, they are made up.
        size: Width and height.
        is_camera: Blur, noise, colour cast, exposure and JPEG as a cheap camera adds.
        span: Share of a picture's width that this is.
    """
    picture = surroundings.background(rng, photos, size, span)
    has_border = rng.random() < (0.6 if photos else 0.25)
    for thing in scene:
        colour = np.clip(
            np.array(COLOURS[thing.colour]) + rng.normal(0, 9, 3), 0, 255
        ).tolist()
        polygons = [
            np.round(polygon * 2**_OVERSAMPLED).astype(np.int32)
            for polygon in outlines(thing, *size)
        ]
        _keep_apart(picture, thing, polygons, has_border)
        for polygon in polygons:
            cv2.fillPoly(picture, [polygon], colour, cv2.LINE_AA, _OVERSAMPLED)
    if is_camera:
        picture = surroundings.through_camera(picture, rng, span)
    return picture


def _keep_apart(
    picture: UInt8Array, thing: Thing, polygons: list[npt.NDArray[np.int32]], always: bool
) -> None:
    """Outline a thing that nobody could tell from what is behind it."""
    height, width = picture.shape[:2]
    row = min(int(thing.y * height), height - 1)
    col = min(int(thing.x * width), width - 1)
    reach = max(int(thing.radius * min(width, height)), 2)
    behind = picture[max(row - reach, 0) : row + reach, max(col - reach, 0) : col + reach]
    distance = np.abs(behind.mean((0, 1)) - np.array(COLOURS[thing.colour])).sum()
    if always or distance < 170:
        shade = (25, 25, 25) if sum(COLOURS[thing.colour]) > 260 else (235, 235, 235)
        thickness = max(2, round(reach * 0.16))
        for polygon in polygons:
            cv2.polylines(
                picture, [polygon], True, shade, thickness, cv2.LINE_AA, _OVERSAMPLED
            )


def patch_labels(
    scene: Scene, height: float, width: float, rows: int, cols: int
) -> tuple[Int64Array, Int64Array]:
    """
    Say which shape and which colour each of rows x cols patches shows.

    Args:
        scene: What is there.
        height: Of the picture in patches; it need not fill them all.
        width: As ``height``.
        rows: Of patches.
        cols: As ``rows``.

    Returns:
        Two arrays [rows, cols] of indices into SHAPES and COLOURS, plus 1; 0 is none.
    """
    fine = 6
    shapes = np.zeros((rows, cols), np.int64)
    colours = np.zeros((rows, cols), np.int64)
    names = list(COLOURS)
    most = np.full((rows, cols), 0.3)
    for thing in scene:
        mask = np.zeros((rows * fine, cols * fine), np.uint8)
        for polygon in outlines(thing, width * fine, height * fine):
            cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], [1])
        share = mask.reshape(rows, fine, cols, fine).mean((1, 3))
        is_this = share > most
        shapes[is_this] = SHAPES.index(thing.shape) + 1
        colours[is_this] = names.index(thing.colour) + 1
        most[is_this] = share[is_this]
    return shapes, colours
