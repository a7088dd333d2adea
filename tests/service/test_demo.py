"""The model that comes with the package, asked through the whole service."""

from collections.abc import Iterator
from typing import Any

import pytest

from assistant.demo.scenes import Scene
from tests.demo.pictures import BLUE_CIRCLE, GREEN_HOUSE, RED_STAR, jpeg
from tests.service.harness import Client, RunningService, recording, running

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningService]:
    with running() as service:
        assert service.ready_line.split()[2] == "model=demo"
        yield service


def answer(done: dict[str, Any]) -> str:
    text: str = done["output"][0]["content"][0]["text"]
    return text


@pytest.mark.parametrize(
    ("question", "scene", "wanted"),
    [
        ("what_colour_is_this", (RED_STAR,), "It is red."),
        ("how_many_are_there", (BLUE_CIRCLE, GREEN_HOUSE, RED_STAR), "There are three."),
        ("what_do_you_see", (), "I see nothing."),
    ],
)  # fmt: skip
def test_a_spoken_question_about_a_frame_gets_the_right_answer(
    demo: RunningService, question: str, scene: Scene, wanted: str
) -> None:
    with Client(demo.url) as client:
        client.show(jpeg(scene))
        client.play(recording(f"demo/{question}.flac"))
        done = client.wait("response.done")["response"]
    assert answer(done) == wanted
    (frame,) = done["assistant"]["frames"]
    assert frame["used"]


@pytest.mark.parametrize("word", ["stop", "five", "seven"])
def test_words_of_people_are_understood(demo: RunningService, word: str) -> None:
    with Client(demo.url) as client:
        client.play(recording(f"demo/person_{word}.ogg"))
        assert answer(client.wait("response.done")["response"]) == f"You said {word}."


def test_typing_is_understood_too(demo: RunningService) -> None:
    with Client(demo.url) as client:
        assert answer(client.ask("What colour is this?")) == "I have no picture."
    with Client(demo.url) as client:
        assert answer(client.ask("turn on the lights")) == "The lights are on."
