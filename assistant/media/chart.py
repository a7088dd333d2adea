"""
A line chart as a picture: curves with points over two linear axes, with a legend.

Knows numbers and pixels. Drawn with OpenCV, which is here for the camera; enough for a
measurement to be looked at, and no more.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from assistant.errors import MediaError

Picture = npt.NDArray[np.uint8]
"""uint8 [H, W, 3], blue, green, red."""

WIDTH, HEIGHT = 960, 600
LEFT, RIGHT, TOP, BOTTOM = 80, 30, 70, 60
NUM_TICKS = 5
COLOURS = (
    (180, 119, 31), (14, 127, 255), (44, 160, 44), (40, 39, 214), (189, 103, 148),
    (75, 86, 140), (194, 119, 227), (127, 127, 127),
)  # fmt: skip
BLACK, GREY = (0, 0, 0), (215, 215, 215)


@dataclass(frozen=True, slots=True)
class Axis:
    """From 0 to ``end``."""

    label: str
    end: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line through points (x, y), in the order given."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(title: str, x: Axis, y: Axis, curves: Sequence[Curve]) -> Picture:
    """Draw curves; what lies beyond the axes is cut off at their ends."""
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _write(picture, title, (LEFT, 28), 0.6)
    _write(picture, x.label, (WIDTH // 2 - 60, HEIGHT - 12), 0.5)
    _write(picture, y.label, (8, TOP - 12), 0.5)
    for number in range(NUM_TICKS + 1):
        share = number / NUM_TICKS
        column, _ = _place(share * x.end, 0, x, y)
        _, row = _place(0, share * y.end, x, y)
        cv2.line(picture, (column, TOP), (column, HEIGHT - BOTTOM), GREY)
        cv2.line(picture, (LEFT, row), (WIDTH - RIGHT, row), GREY)
        _write(picture, f"{share * x.end:g}", (column - 15, HEIGHT - BOTTOM + 20), 0.45)
        _write(picture, f"{share * y.end:g}", (LEFT - 50, row + 5), 0.45)
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        places = [_place(*point, x, y) for point in curve.points]
        for start, end in itertools.pairwise(places):
            cv2.line(picture, start, end, colour, 2, cv2.LINE_AA)
        for place in places:
            cv2.circle(picture, place, 3, colour, -1, cv2.LINE_AA)
        row = TOP + 22 * (number + 1)
        cv2.line(picture, (WIDTH - 280, row - 5), (WIDTH - 250, row - 5), colour, 2)
        _write(picture, curve.name, (WIDTH - 242, row), 0.45)
    return picture


def save(picture: Picture, file: Path) -> None:
    """
    Write a PNG.

    Raises:
        MediaError: The file cannot be written.
    """
    encoded = cv2.imencode(".png", picture)[1].tobytes()
    try:
        file.write_bytes(encoded)
    except OSError as error:
        raise MediaError("picture_not_written", f"{file}: {error.strerror}") from error


def _place(x_value: float, y_value: float, x: Axis, y: Axis) -> tuple[int, int]:
    """Return column and row of a point."""
    right = min(max(x_value / x.end, 0.0), 1.0)
    up = min(max(y_value / y.end, 0.0), 1.0)
    column = LEFT + right * (WIDTH - LEFT - RIGHT)
    row = HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
    return round(column), round(row)


def _write(picture: Picture, text: str, place: tuple[int, int], size: float) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, text, place, font, size, BLACK, 1, cv2.LINE_AA)
