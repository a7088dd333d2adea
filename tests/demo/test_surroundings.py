import numpy as np

from assistant.demo import surroundings


def test_backgrounds_fill_the_picture_and_differ() -> None:
    rng = np.random.default_rng(0)
    drawn = [surroundings.background(rng, (), (80, 60)) for _ in range(20)]
    assert {picture.shape for picture in drawn} == {(60, 80, 3)}
    assert len({picture.tobytes() for picture in drawn}) == 20


def test_a_camera_changes_a_picture_and_leaves_it_recognisable() -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[:, 40:] = 200
    seen = surroundings.through_camera(picture, rng)
    assert seen.shape == picture.shape
    assert not (seen == picture).all()
    assert seen[:, 50:].mean() > seen[:, :30].mean() + 60
