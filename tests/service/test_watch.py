"""Speaking up about what the camera shows: the whole service with the demo model."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from assistant.demo.scenes import Scene
from tests.demo.pictures import GREEN_HOUSE, RED_STAR, jpeg
from tests.service.harness import Client, RunningService, recording, running

pytestmark = pytest.mark.service

FRAME_S = 0.5
SPOKEN_OF_S = 3.0
"""One is wanted, of a machine that does nothing else; the next look is 5 s away."""
SPOKEN_BYTES = int(0.5 * 48_000)
"""Of PCM16 at 24 kHz: by then somebody speaks."""
QUESTION = "Do you see a star?"


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningService]:
    with running() as service:
        yield service


def watched(client: Client, **keys: object) -> None:
    client.update(assistant={"watch": {"instruction": QUESTION, **keys}})


def film(client: Client, scene: Scene, duration_s: float, seed: int = 0) -> None:
    """Show a scene as a camera does."""
    began = time.monotonic()
    for number in range(round(duration_s / FRAME_S)):
        time.sleep(max(0.0, began + number * FRAME_S - time.monotonic()))
        client.show(jpeg(scene, seed=seed))
    time.sleep(max(0.0, began + duration_s - time.monotonic()))


def is_unasked(event: dict[str, Any]) -> bool:
    return bool(event["response"]["metadata"] == {"opened_by": "watch"})


def said(client: Client) -> list[str]:
    """Take what has come; return what was said unasked, in order."""
    client.send("input_image_buffer.clear")
    client.wait("input_image_buffer.cleared")
    return [
        event["response"]["output"][0]["content"][0]["text"]
        for event in client.events
        if event["type"] == "response.done" and is_unasked(event)
    ]


def test_a_change_is_spoken_of_at_once_and_once_and_nothing_else(
    demo: RunningService,
) -> None:
    with Client(demo.url) as client:
        watched(client)
        film(client, (GREEN_HOUSE,), 3.0)
        changed = time.monotonic()
        client.show(jpeg((RED_STAR,)))
        done = client.wait("response.done")
        assert is_unasked(done)
        assert client.times[-1] - changed < SPOKEN_OF_S
        film(client, (RED_STAR,), 3.0, seed=1)
        assert said(client) == ["Yes, I see a star."]
        assert client.ask("Thank you")["metadata"] is None


def test_who_speaks_is_not_spoken_over_and_is_told_afterwards(demo: RunningService) -> None:
    with Client(demo.url) as client:
        watched(client)
        film(client, (GREEN_HOUSE,), 2.0)
        speech = recording("google_today.wav", lead_s=0.2)
        client.play(speech[:SPOKEN_BYTES])
        client.show(jpeg((RED_STAR,)))
        client.play(speech[SPOKEN_BYTES:])
        client.wait("input_audio_buffer.speech_stopped")
        assert "input_audio_buffer.speech_started" in client.types()
        assert "response.created" not in client.types()
        assert not is_unasked(client.wait("response.done"))
        film(client, (RED_STAR,), 3.0)
        assert said(client) == ["Yes, I see a star."]
