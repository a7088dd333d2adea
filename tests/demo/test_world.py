import json

import pytest

from assistant.demo import world
from assistant.demo.scenes import Thing
from assistant.demo.world import ASKS, Ask, Tool


def thing(
    shape: str = "star", colour: str = "red", x: float = 0.5, y: float = 0.5
) -> Thing:
    return Thing(shape, colour, x, y, radius=0.2, angle=0.0)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what colour is this", "It is red."),
        ("what shape do you see", "It is a star."),
        ("how many are there", "There is one."),
        ("where is it", "It is in the middle."),
        ("is it red", "Yes, it is red."),
        ("is this blue", "No, it is red."),
        ("do you see a star", "Yes, I see a star."),
        ("do you see a cup", "No, I see no cup."),
        ("what do you see", "I see a red star."),
        ("and its colour", "It is red."),
        ("where is the cup", "I see no cup."),
    ],
)
def test_questions_are_answered_from_the_scene(text: str, answer: str) -> None:
    assert world.answer(ASKS[text], [(thing(),)]) == answer


def test_the_newest_picture_is_asked_about() -> None:
    older, newer = (thing(colour="red"),), (thing(colour="blue"),)
    assert world.answer(Ask("colour"), [older, newer]) == "It is blue."


@pytest.mark.parametrize("kind", ["colour", "shape", "count", "place", "see"])
def test_nothing_is_seen_where_nothing_is(kind: world.Kind) -> None:
    assert world.answer(Ask(kind), [()]) == world.NOTHING
    assert world.answer(Ask(kind)) == world.NO_PICTURE


@pytest.mark.parametrize(
    ("after", "answer"),
    [
        (thing(x=0.2), "It moved left."),
        (thing(y=0.8), "It moved down."),
        (thing(colour="green"), "It turned green."),
        (thing(shape="cup"), "It became a cup."),
        (thing(), "Nothing changed."),
    ],
)
def test_changes_between_two_pictures_are_told(after: Thing, answer: str) -> None:
    assert world.answer(Ask("changed"), [(thing(),), (after,)]) == answer


@pytest.mark.parametrize(
    ("x", "y", "where"),
    [
        (0.1, 0.5, "on the left"),
        (0.5, 0.9, "at the bottom"),
        (0.9, 0.1, "at the top right"),
    ],
)
def test_places_are_told_in_words(x: float, y: float, where: str) -> None:
    assert world.place(thing(x=x, y=y)) == where


def test_commands_are_calls_where_the_tool_is_there() -> None:
    ask = ASKS["set the temperature to twenty one"]
    call, climate = world.usual_tool("call"), Tool("temperature", "set_climate", "value")
    called = world.answer(ask, (), [call, climate])
    body = called.removeprefix("<|tool_call|>").removesuffix("<|/tool_call|>")
    assert json.loads(body) == [{"name": "set_climate", "arguments": {"value": 21}}]
    assert world.answer(ask, (), [call]) == world.NO_TOOL
    assert world.answer(ask) == "The temperature is 21."


def test_every_command_calls_a_function_that_is_declared() -> None:
    types = {bool: "boolean", int: "integer", str: "string"}
    for _, _, call in world.CAR.values():
        purpose, _, value = call.partition(" ")
        tool = world.usual_tool(purpose)
        declared = json.loads(tool.declared())
        assert declared["name"] == tool.name
        schema = declared["parameters"]["properties"][tool.argument]
        assert schema["type"] == types[type(json.loads(value))]


def test_things_are_named_as_one_reads() -> None:
    scene = (
        thing("cup", x=0.8, y=0.8),
        thing("car", x=0.9, y=0.1),
        thing("tree", x=0.1, y=0.1),
    )
    assert world.answer(Ask("see"), [scene]) == (
        "I see a red tree and a red car and a red cup."
    )


def test_fixed_phrases_are_translated() -> None:
    assert world.translation("thank you", "German") == "Danke"
    assert world.translation("hello", "Spanish") == "Hola"
    assert world.translation("what colour is this", "German") is None


def test_numbers_go_from_zero_to_ninety_nine() -> None:
    assert len(world.NUMBERS) == len(set(world.NUMBERS)) == 100
    assert (world.NUMBERS[0], world.NUMBERS[42]) == ("zero", "forty two")
    assert set(world.NUMBERS) <= ASKS.keys()
