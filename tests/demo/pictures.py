"""Pictures of the demo's world as files, for tests that show them to a service."""

import cv2
import numpy as np

from assistant.demo import scenes
from assistant.demo.scenes import Scene, Thing

RED_STAR = Thing("star", "red", 0.5, 0.5, radius=0.28, angle=0.1)
BLUE_CIRCLE = Thing("circle", "blue", 0.22, 0.25, radius=0.16, angle=0.0)
GREEN_HOUSE = Thing("house", "green", 0.78, 0.75, radius=0.18, angle=0.0)


def jpeg(scene: Scene, *, seed: int = 0, size: tuple[int, int] = (640, 480)) -> bytes:
    """Return a drawn scene as a JPEG."""
    picture = scenes.render(scene, np.random.default_rng(seed), size=size)
    return cv2.imencode(".jpg", picture[:, :, ::-1])[1].tobytes()
