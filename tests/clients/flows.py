"""
What every stock client goes through, in its own way of saying it.

A flow talks to a ``Peer``, which is one client connected for it alone, and raises
AssertionError when what comes back is not what is documented. The clients in JavaScript
go through the same flows in ``node/flows.mjs``.
"""

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from tests.service.harness import DATA, SPOKEN_TURN, is_subsequence, recording

Event = dict[str, Any]

JPEG: Path = DATA / "bottles.jpg"
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of today.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Berlin", "Paris"]}},
        "required": ["city"],
    },
}


class Peer(Protocol):
    """One client; every event that it gets has been judged by the strict validators."""

    events: list[Event]

    async def say(self, text: str) -> None:
        """Type a question and ask for its answer."""

    async def show(self, jpeg: bytes, text: str) -> None:
        """Ask a typed question about a picture."""

    async def speak(self, sound: bytes) -> None:
        """Send PCM16 at 24 kHz, as fast as it goes."""

    async def offer_tools(self) -> None:
        """Declare ``WEATHER`` and demand a call of it."""

    async def answer_call(self, call: Event) -> None:
        """Give the result of a call and ask for the answer to it, in words."""

    async def send(self, event: Event) -> None:
        """Send an event for which the client has no word of its own."""

    async def wait(self, type: str) -> Event:
        """Receive until an event of that type has come."""


def text_of(response: Event) -> str:
    parts = [
        part
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]
    return "".join(part["text"] for part in parts)


async def done(peer: Peer) -> Event:
    response: Event = (await peer.wait("response.done"))["response"]
    return response


async def text(peer: Peer) -> None:
    await peer.say("Hello")
    response = await done(peer)
    deltas = [e["delta"] for e in peer.events if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == text_of(response) != ""


async def tools(peer: Peer) -> None:
    await peer.offer_tools()
    await peer.say("How is the weather?")
    call = await peer.wait("response.function_call_arguments.done")
    await peer.answer_call(call)
    (called,) = (await done(peer))["output"]
    assert (called["type"], called["name"]) == ("function_call", "get_weather")
    assert called["arguments"] == call["arguments"]
    assert text_of(await done(peer))


async def image(peer: Peer) -> None:
    await peer.show(picture(), "What do you see?")
    response = await done(peer)
    assert response["usage"]["input_token_details"]["image_tokens"] > 0
    assert text_of(response)


async def vad_turn(peer: Peer) -> None:
    await peer.speak(recording("google_today.wav"))
    response = await done(peer)
    assert is_subsequence(SPOKEN_TURN, [event["type"] for event in peer.events])
    assert response["usage"]["input_token_details"]["audio_tokens"] > 0


async def barge_in(peer: Peer) -> None:
    session = {"type": "realtime", "max_output_tokens": 4000}
    await peer.send({"type": "session.update", "session": session})
    await peer.say("Tell me a long story.")
    await peer.wait("response.output_text.delta")
    await peer.speak(recording("google_today.wav", lead_s=0.0))
    await peer.wait("input_audio_buffer.speech_started")
    response = await done(peer)
    reason = {"type": "cancelled", "reason": "turn_detected"}
    assert response["status_details"] == reason
    assert response["usage"]["output_tokens"] > 0
    await peer.wait("response.created")
    await peer.wait("response.output_text.delta")


async def cancel(peer: Peer) -> None:
    await peer.say("Count to one hundred.")
    await peer.wait("response.output_text.delta")
    await peer.send({"type": "response.cancel"})
    response = await done(peer)
    reason = {"type": "cancelled", "reason": "client_cancelled"}
    assert response["status_details"] == reason


async def delete_retrieve(peer: Peer) -> None:
    await peer.say("Hello")
    response = await done(peer)
    (item,) = response["output"]
    await peer.send({"type": "conversation.item.retrieve", "item_id": item["id"]})
    retrieved = (await peer.wait("conversation.item.retrieved"))["item"]
    assert retrieved["content"] == item["content"]
    await peer.send({"type": "conversation.item.delete", "item_id": item["id"]})
    assert (await peer.wait("conversation.item.deleted"))["item_id"] == item["id"]
    await peer.say("And now?")
    assert text_of(await done(peer))


Flow = Callable[[Peer], Awaitable[None]]
FLOWS: dict[str, Flow] = {
    "text": text,
    "tool round trip": tools,
    "image": image,
    "VAD turn": vad_turn,
    "barge-in": barge_in,
    "cancel": cancel,
    "delete, retrieve": delete_retrieve,
}


def picture() -> bytes:
    return JPEG.read_bytes()


def picture_item(jpeg: bytes, text: str) -> Event:
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    content = [
        {"type": "input_image", "image_url": url},
        {"type": "input_text", "text": text},
    ]
    return {"type": "message", "role": "user", "content": content}


def text_item(text: str) -> Event:
    part = {"type": "input_text", "text": text}
    return {"type": "message", "role": "user", "content": [part]}
