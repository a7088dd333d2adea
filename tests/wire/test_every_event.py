"""
No strict client rejects anything that any test of this run saw the server emit.

Runs last, whatever else was selected; alone, it judges the samples.
"""

import json
import subprocess

import pytest

from assistant.wire import server_events as wire
from tests.clients import npm
from tests.wire import emitted, samples

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def events() -> list[str]:
    for event in samples.EVENTS:
        emitted.note(wire.encode(event).decode())
    return emitted.of_every_shape()


def test_both_python_clients_accept_every_event_of_this_run(events: list[str]) -> None:
    # Here and not at the top: the import takes seconds.
    from tests.wire.validators import validate_server_event

    rejections = []
    for event in events:
        try:
            validate_server_event(event)
        except AssertionError as rejection:
            rejections.append(str(rejection))
    assert rejections == []


def rejected_in_javascript(events: list[str]) -> list[tuple[int, str]]:
    """Return number and reason of those that the agents SDK does not know."""
    judged = subprocess.run(
        ["node", str(npm.NODE / "accepts.mjs")],
        input="\n".join(events),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr[-2000:]
    return [(number, why) for number, why in map(json.loads, judged.stdout.splitlines())]


@pytest.fixture
def javascript() -> None:
    if missing := npm.missing("@openai/agents-realtime"):
        pytest.skip(missing)


@pytest.mark.usefixtures("javascript")
def test_the_javascript_client_accepts_every_event_of_this_run(events: list[str]) -> None:
    assert rejected_in_javascript(events) == []


@pytest.mark.usefixtures("javascript")
def test_the_javascript_client_would_notice_a_wrong_event() -> None:
    wrong = {"type": "response.output_text.delta", "event_id": "event_1", "delta": 7}
    unknown = {"type": "input_image_buffer.cleared", "event_id": "event_1"}
    ((number, _),) = rejected_in_javascript([json.dumps(unknown), json.dumps(wrong)])
    assert number == 1


def test_events_that_differ_in_nothing_that_clients_tell_apart_are_kept_once() -> None:
    before = len(emitted.of_every_shape())
    for text in ("one", "two", "three"):
        delta = wire.TextDelta(
            event_id="event_1",
            response_id="r",
            item_id="i",
            output_index=0,
            content_index=0,
            delta=text,
        )
        wire.encode(delta)
    assert len(emitted.of_every_shape()) <= before + 1
