"""The model that comes with the package, asked through the whole service."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from assistant.demo import world
from assistant.demo.scenes import Scene
from tests.demo.pictures import BLUE_CIRCLE, GREEN_HOUSE, RED_STAR, jpeg
from tests.service.harness import Client, RunningService, recording, running

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningService]:
    with running() as service:
        assert service.ready_line.split()[2] == "model=demo"
        yield service


def declared(purpose: str) -> dict[str, Any]:
    """Return the session's declaration of one of the car's functions."""
    function: dict[str, Any] = json.loads(world.usual_tool(purpose).declared())
    return {"type": "function", **function}


def answer(done: dict[str, Any]) -> str:
    text: str = done["output"][0]["content"][0]["text"]
    return text


@pytest.mark.parametrize(
    ("question", "scene", "wanted"),
    [
        ("what_colour_is_this", (RED_STAR,), "It is red."),
        ("how_many_are_there", (BLUE_CIRCLE, GREEN_HOUSE, RED_STAR), "There are three."),
        ("what_do_you_see", (), "I see nothing."),
        ("what_do_you_see", (BLUE_CIRCLE, GREEN_HOUSE),
         "I see a blue circle and a green house."),
        ("do_you_see_a_star", (BLUE_CIRCLE,), "No, I see no star."),
        ("is_it_red", (RED_STAR,), "Yes, it is red."),
        ("is_it_red", (GREEN_HOUSE,), "No, it is green."),
        ("where_is_the_house", (RED_STAR, GREEN_HOUSE), "It is at the bottom right."),
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


def test_of_several_frames_the_newest_is_answered_about(demo: RunningService) -> None:
    with Client(demo.url) as client:
        client.show(jpeg((GREEN_HOUSE,)), timestamp_ms=0)
        client.show(jpeg((RED_STAR,)), timestamp_ms=100)
        client.play(recording("demo/what_colour_is_this.flac"))
        assert answer(client.wait("response.done")["response"]) == "It is red."


def test_a_follow_up_is_about_the_same_thing(demo: RunningService) -> None:
    with Client(demo.url) as client:
        client.show(jpeg((RED_STAR,)))
        client.play(recording("demo/what_colour_is_this.flac"))
        assert answer(client.wait("response.done")["response"]) == "It is red."
        client.show(jpeg((RED_STAR,)))
        client.play(recording("demo/and_its_shape.flac"))
        assert answer(client.wait("response.done")["response"]) == "It is a star."


def test_a_spoken_command_becomes_a_call_of_the_tool_that_fits(
    demo: RunningService,
) -> None:
    session = {"tools": [declared("temperature"), declared("call")]}
    with Client(demo.url) as client:
        client.update(**session)
        client.play(recording("demo/set_the_temperature_to_twenty_one.flac"))
        (call,) = client.wait("response.done")["response"]["output"]
    assert (call["type"], call["name"]) == ("function_call", "set_temperature")
    assert json.loads(call["arguments"]) == {"degrees": 21}


def test_a_command_that_no_tool_fits_is_answered_in_words(demo: RunningService) -> None:
    with Client(demo.url) as client:
        client.update(tools=[declared("call")])
        client.play(recording("demo/set_the_temperature_to_twenty_one.flac"))
        assert answer(client.wait("response.done")["response"]) == world.NO_TOOL


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
