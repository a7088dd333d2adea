import cv2
import numpy as np
import pytest

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


def test_flakes_give_made_up_backgrounds_edges_at_every_scale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edges = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(surroundings, "LEAVES_SHARE", share)
        rng = np.random.default_rng(0)
        grounds = [surroundings.background(rng, (), (192, 144)) for _ in range(12)]
        for scale in (1, 4):
            small = [ground[::scale, ::scale] for ground in grounds]
            found = [cv2.Canny(np.ascontiguousarray(ground), 60, 120) for ground in small]
            edges.append(np.median([(edge > 0).mean() for edge in found]))
    plain_fine, plain_coarse, fine, coarse = edges
    assert fine > plain_fine + 0.01
    assert coarse > plain_coarse + 0.01
