"""What the measuring programs themselves work out."""

import json
from typing import Any

import pytest

from assistant.demo import world
from tests.bench.tool_calls import TOOLS, judge, requests
from tests.bench.transcripts import recorded, word_errors


@pytest.mark.parametrize(
    ("wanted", "got", "errors"),
    [
        ("turn on the lights", "Turn on the lights.", 0),
        ("turn on the lights", "turn the light", 2),
        ("five", "", 1),
        ("stop", "do not stop", 2),
    ],
)
def test_words_are_compared_and_not_how_they_are_written(
    wanted: str, got: str, errors: int
) -> None:
    assert word_errors(wanted, got) == errors


def test_every_recording_is_named_by_what_the_world_knows() -> None:
    assert all(text in world.ASKS for _, text, _ in recorded())


def test_the_requests_name_every_function_of_the_car() -> None:
    asked = requests(36)
    assert len({request.text for request in asked}) == 36
    assert {request.name for request in asked} == {tool["name"] for tool in TOOLS}


def test_one_right_call_and_its_result_in_words_are_a_round_trip() -> None:
    request = next(r for r in requests(36) if r.name == "set_temperature")

    def response(*output: dict[str, Any]) -> dict[str, Any]:
        return {"type": "response.done", "response": {"output": list(output)}}

    call = {
        "type": "function_call",
        "name": request.name,
        "arguments": json.dumps(request.arguments),
    }
    said = {"type": "message", "content": [{"text": request.answer}]}
    wrong = {"type": "message", "content": [{"text": world.NOT_UNDERSTOOD}]}
    right = judge(request, [response(call), response(said)])
    assert (right.is_called, right.is_answered) == (True, True)
    halves = judge(request, [response(call), response(wrong)])
    assert (halves.is_called, halves.is_answered) == (True, False)
    for events in ([response(said)], [response(call), response(call), response(said)]):
        assert not judge(request, events).is_called
