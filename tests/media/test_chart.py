from pathlib import Path

import cv2
import pytest

from assistant.errors import MediaError
from assistant.media.chart import COLOURS, HEIGHT, WIDTH, Axis, Curve, Picture, draw, save

X, Y = Axis("ms", 2000), Axis("%", 60)


def has(picture: Picture, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


def test_every_curve_has_its_colour_and_no_more_colours_are_there() -> None:
    curves = [Curve("one", [(100, 50), (900, 5)]), Curve("two", [(300, 20), (500, 3)])]
    picture = draw("curves", X, Y, curves)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert has(picture, COLOURS[0])
    assert has(picture, COLOURS[1])
    assert not has(picture, COLOURS[2])


def test_points_beyond_the_axes_and_no_points_at_all_can_be_drawn() -> None:
    assert has(draw("", X, Y, [Curve("far", [(1e9, -5), (0, 1e9)])]), COLOURS[0])
    assert has(draw("", X, Y, [Curve("empty", [])]), COLOURS[0]), "in the legend"


def test_what_is_saved_is_a_png_of_the_picture(tmp_path: Path) -> None:
    picture = draw("curves", X, Y, [])
    save(picture, tmp_path / "a.png")
    read = cv2.imread(str(tmp_path / "a.png"))
    assert read is not None
    assert (read == picture).all()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nowhere"):
        save(draw("", X, Y, []), tmp_path / "nowhere" / "a.png")
