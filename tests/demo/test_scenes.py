import itertools
import math

import numpy as np
import pytest

from assistant.demo import scenes
from assistant.demo.scenes import COLOURS, SHAPES, Thing


def test_the_same_seed_draws_the_same_scene_and_picture() -> None:
    first, second = (np.random.default_rng(3) for _ in range(2))
    scene, again = scenes.draw_scene(first, 3), scenes.draw_scene(second, 3)
    assert scene == again
    picture = scenes.render(scene, first, size=(160, 120), is_camera=True)
    repeated = scenes.render(again, second, size=(160, 120), is_camera=True)
    assert (picture == repeated).all()


@pytest.mark.parametrize("count", range(scenes.MAX_OBJECTS + 1))
def test_things_do_not_touch(count: int) -> None:
    scene = scenes.draw_scene(np.random.default_rng(count), count)
    assert len(scene) == count
    for one, other in itertools.combinations(scene, 2):
        distance = math.hypot((one.x - other.x) * 4 / 3, one.y - other.y)
        assert distance > one.radius + other.radius


@pytest.mark.parametrize("shape", SHAPES)
def test_a_thing_is_drawn_in_its_colour_at_its_place(shape: str) -> None:
    thing = Thing(shape, "blue", 0.25, 0.5, radius=0.3, angle=0.0)
    picture = scenes.render((thing,), np.random.default_rng(1), size=(160, 120))
    at_the_thing = picture[52:68, 32:48].reshape(-1, 3).astype(int)
    distance = np.abs(at_the_thing - np.array(COLOURS["blue"])).sum(1)
    assert (distance < 120).mean() > 0.5


def test_photos_become_backgrounds() -> None:
    photo = np.full((100, 150, 3), (10, 200, 30), np.uint8)
    picture = scenes.render((), np.random.default_rng(0), [photo], size=(64, 48))
    assert picture.shape == (48, 64, 3)
    assert (picture == (10, 200, 30)).all()


def test_patches_are_labelled_with_what_they_show() -> None:
    thing = Thing("square", "red", 0.25, 0.5, radius=0.4, angle=0.0)
    shapes, colours = scenes.patch_labels((thing,), 9, 12, 12, 12)
    assert shapes[4, 3] == SHAPES.index("square") + 1
    assert colours[4, 3] == list(COLOURS).index("red") + 1
    assert not shapes[:, 8:].any()
    assert not shapes[9:].any()


def test_things_are_read_row_by_row() -> None:
    spots = ((0.8, 0.2), (0.2, 0.3), (0.5, 0.5), (0.1, 0.9))
    things = tuple(Thing("star", "red", x, y, 0.1, 0.0) for x, y in spots)
    read = scenes.in_reading_order(things)
    assert [(thing.x, thing.y) for thing in read] == [spots[i] for i in (1, 0, 2, 3)]
