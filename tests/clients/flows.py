"""
What every stock client goes through: what is done, and what must have come of it.

A flow is data. Its steps are carried out by each client in its own way of saying them, in
Python by ``peers.py`` and in JavaScript by ``node/``; what the client received meanwhile
is judged here, by meaning too: the questions are such that the demo surely knows the
answer, and that the full-size model would know as well.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from assistant.demo import world
from tests.demo.pictures import RED_STAR, jpeg
from tests.service.harness import SPOKEN_TURN, is_subsequence, recording

Event = dict[str, Any]
Step = tuple[Any, ...]
"""The name of a method of ``Peer``, and what it is called with."""

TEMPERATURE: dict[str, Any] = {
    "type": "function",
    **json.loads(world.usual_tool("temperature").declared()),
}
COUNT: dict[str, Any] = {
    "type": "function",
    "name": "count",
    "description": "Count aloud.",
    "parameters": {
        "type": "object",
        "properties": {
            "numbers": {"type": "array", "items": {"enum": ["one", "two"]}, "minItems": 900}
        },
        "required": ["numbers"],
    },
}


class Peer(Protocol):
    """One client, connected for one flow; strict validators judge all that it gets."""

    events: list[Event]

    async def say(self, text: str) -> None:
        """Type a question and ask for its answer."""

    async def show(self, url: str, text: str) -> None:
        """Ask a typed question about a picture."""

    async def speak(self, sound: str) -> None:
        """Send PCM16 at 24 kHz (given in base64) as fast as it goes."""

    async def answer_call(self, output: str) -> None:
        """Give the result of the call that came last, and ask what is to be said on it."""

    async def send(self, event: Event) -> None:
        """Send an event for which the client has no word; see ``filled_in``."""

    async def wait(self, type: str) -> None:
        """Receive until an event of that type has come."""


@dataclass(frozen=True, slots=True)
class Flow:
    steps: tuple[Step, ...]
    check: Callable[[Sequence[Event]], None]
    """Raises AssertionError when what came is not what must come."""
    tools: tuple[dict[str, Any], ...] = ()
    """Which the session declares."""
    result: str = "done"
    """Of every tool."""

    def to_json(self) -> str:
        return json.dumps({"steps": self.steps, "tools": self.tools, "result": self.result})


async def follow(flow: Flow, peer: Peer) -> None:
    """Carry out the steps with a client in Python, and judge."""
    for method, *arguments in flow.steps:
        await getattr(peer, method)(*arguments)
    flow.check(peer.events)


def filled_in(event: Event, received: Sequence[Event]) -> Event:
    """Return an event with the id of the last item of a role for "@role"."""
    item_id = event.get("item_id", "")
    if not item_id.startswith("@"):
        return event
    added = [e["item"] for e in received if e["type"] == "conversation.item.added"]
    ids = [item["id"] for item in added if item.get("role") == item_id[1:]]
    return {**event, "item_id": ids[-1]}


# --- what came ---------------------------------------------------------------------------


def responses(events: Sequence[Event]) -> list[Event]:
    return [event["response"] for event in events if event["type"] == "response.done"]


def text_of(response: Event) -> str:
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def _says(response: Event, *words: str) -> None:
    """Check what an answer means: all of the words are in it."""
    assert response["status"] == "completed", response
    said = text_of(response)
    missing = [word for word in words if word not in said.lower()]
    assert not missing, f"{missing} not in {said!r}"


def _greets(events: Sequence[Event]) -> None:
    (response,) = responses(events)
    deltas = [e["delta"] for e in events if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == text_of(response)
    _says(response, "hello")


def _calls_and_goes_on(events: Sequence[Event]) -> None:
    first, second = responses(events)
    (call,) = first["output"]
    assert (call["type"], call["name"]) == ("function_call", TEMPERATURE["name"]), call
    assert json.loads(call["arguments"]) == {"degrees": 21}
    (told,) = [
        event["item"]
        for event in events
        if event["type"] == "conversation.item.done"
        and event["item"]["type"] == "function_call_output"
    ]
    assert (told["call_id"], told["output"]) == (call["call_id"], "done")
    assert second["status"] == "completed"
    assert text_of(second)


def _sees(events: Sequence[Event]) -> None:
    (response,) = responses(events)
    assert response["usage"]["input_token_details"]["image_tokens"] > 0
    _says(response, "red")


def _hears(events: Sequence[Event]) -> None:
    (response,) = responses(events)
    assert is_subsequence(SPOKEN_TURN, [event["type"] for event in events])
    assert response["usage"]["input_token_details"]["audio_tokens"] > 0
    _says(response, "lights", "on")


def _is_cut(response: Event, reason: str) -> None:
    assert response["status"] == "cancelled", response
    assert response["status_details"] == {"type": "cancelled", "reason": reason}
    assert response["usage"]["output_tokens"] > 0


def _gives_way(events: Sequence[Event]) -> None:
    first, second = responses(events)
    _is_cut(first, "turn_detected")
    ends = ["input_audio_buffer.speech_started", "response.done", "response.created"]
    assert is_subsequence(ends, [event["type"] for event in events])
    _says(second, "lights", "on")


def _stops(events: Sequence[Event]) -> None:
    first, second = responses(events)
    _is_cut(first, "client_cancelled")
    _says(second, "hello")


def _forgets(events: Sequence[Event]) -> None:
    first, second = responses(events)
    _says(first, "red")
    (found,) = [e["item"] for e in events if e["type"] == "conversation.item.retrieved"]
    assert found["content"] == first["output"][0]["content"]
    assert second["usage"]["input_token_details"]["image_tokens"] == 0
    _says(second, "no picture")


# --- what is done ------------------------------------------------------------------------


def text_item(text: str) -> Event:
    part = {"type": "input_text", "text": text}
    return {"type": "message", "role": "user", "content": [part]}


def picture_item(url: str, text: str) -> Event:
    item = text_item(text)
    item["content"].insert(0, {"type": "input_image", "image_url": url})
    return item


@cache
def star() -> str:
    """Return a red star as a data URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg((RED_STAR,))).decode()}"


def spoken(words: str, lead_s: float = 0.5) -> str:
    sound = recording(f"demo/{words.replace(' ', '_')}.flac", lead_s=lead_s)
    return base64.b64encode(sound).decode()


LONG_ANSWER: Step = (
    "send",
    {
        "type": "response.create",
        "response": {
            "input": [text_item("Count to nine hundred.")],
            "tools": [COUNT],
            "tool_choice": "required",
            "max_output_tokens": 3500,
        },
    },
)
"""Of the demo, whose own answers are short: nobody could cut in."""
DONE: Step = ("wait", "response.done")
COLOUR = "What colour is this?"


def flows() -> dict[str, Flow]:
    """Return all flows by name; they hold sounds and pictures, so they are made anew."""
    lights = spoken("turn on the lights")
    at_once = spoken("turn on the lights", lead_s=0.0)
    in_call = "response.function_call_arguments.delta"
    return {
        "text": Flow((("say", "Hello"), DONE), _greets),
        "tool round trip": Flow(
            (
                ("say", "Set the temperature to twenty one"),
                DONE,
                ("answer_call", "done"),
                DONE,
            ),
            _calls_and_goes_on,
            tools=(TEMPERATURE,),
        ),
        "image": Flow((("show", star(), COLOUR), DONE), _sees),
        "VAD turn": Flow((("speak", lights), DONE), _hears),
        "barge-in": Flow(
            (LONG_ANSWER, ("wait", in_call), ("speak", at_once), DONE, DONE), _gives_way
        ),
        "cancel": Flow(
            (
                LONG_ANSWER,
                ("wait", in_call),
                ("send", {"type": "response.cancel"}),
                DONE,
                ("say", "Hello"),
                DONE,
            ),
            _stops,
        ),
        "delete, retrieve": Flow(
            (
                ("show", star(), COLOUR),
                DONE,
                ("send", {"type": "conversation.item.retrieve", "item_id": "@assistant"}),
                ("wait", "conversation.item.retrieved"),
                ("send", {"type": "conversation.item.delete", "item_id": "@user"}),
                ("wait", "conversation.item.deleted"),
                ("send", {"type": "conversation.item.delete", "item_id": "@assistant"}),
                ("wait", "conversation.item.deleted"),
                ("say", COLOUR),
                DONE,
            ),
            _forgets,
        ),
    }


FLOWS: tuple[str, ...] = (
    "text", "tool round trip", "image", "VAD turn", "barge-in", "cancel",
    "delete, retrieve",
)  # fmt: skip


# --- with a model whose words are many, and mean nothing ---------------------------------


def _is_cut_by_voice(events: Sequence[Event]) -> None:
    _is_cut(responses(events)[0], "turn_detected")
    assert text_of(responses(events)[0])


def _is_cut_by_client(events: Sequence[Event]) -> None:
    (response,) = responses(events)
    _is_cut(response, "client_cancelled")
    assert text_of(response)


def flows_in_words() -> dict[str, Flow]:
    """Return those in which words, not a call, are cut short."""
    begun: tuple[Step, ...] = (("say", "Hello"), ("wait", "response.output_text.delta"))
    more = {"type": "realtime", "max_output_tokens": 4000}
    return {
        "barge-in": Flow(
            (
                ("send", {"type": "session.update", "session": more}),
                *begun,
                ("speak", spoken("turn on the lights", lead_s=0.0)),
                DONE,
                ("wait", "response.created"),
                ("wait", "response.output_text.delta"),
            ),
            _is_cut_by_voice,
        ),
        "cancel": Flow(
            (*begun, ("send", {"type": "response.cancel"}), DONE), _is_cut_by_client
        ),
    }
