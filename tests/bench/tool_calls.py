"""
Requests to a car through the stock agents SDK: is the right function called and answered?

    python -m tests.bench.tool_calls [--requests 36] [--kind typed|spoken|both]

Every request is a session of its own, made by ``openai-agents`` with all seven functions
of the demo's car; the SDK runs the function that the model calls and sends the result,
and the model answers that. A request is right when one call came, of the right function
with the right arguments. Its round trip is right when the answer to the result then says
what the result said. Spoken ones are said by a held-out voice; without its program only
the typed ones are asked. Prints what went wrong; the last line is JSON.
"""

import argparse
import asyncio
import base64
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.demo import evaluate, voices, world
from tests.clients.flows import Event, Flow, responses, text_of
from tests.service.harness import pcm, running

VOICE = next(v for v in voices.VOICES if v.is_held_out)
BOUND = 0.95
MAX_RESPONSES = 3
TOOLS: tuple[dict[str, Any], ...] = tuple(
    {"type": "function", **json.loads(world.usual_tool(purpose).declared())}
    for purpose in world.TOOLS
)


@dataclass(frozen=True, slots=True)
class Request:
    text: str
    name: str
    arguments: dict[str, Any]
    answer: str
    """What the function returns, in the words of the world."""
    sound: str = ""
    """PCM16 at 24 kHz in base64, when it is spoken."""

    @property
    def kind(self) -> str:
        return "spoken" if self.sound else "typed"


@dataclass(frozen=True, slots=True)
class Outcome:
    is_called: bool
    is_answered: bool
    shown: str


def requests(count: int) -> list[Request]:
    """Return requests of all kinds: each command once before any of them twice."""
    tools = [world.usual_tool(purpose) for purpose in world.TOOLS]
    phrases = {name: phrases for name, (phrases, *_) in world.CAR.items()}
    # Temperatures are many and all alike: three of them are enough.
    names = [name for name in phrases if not name.startswith("temperature")]
    names += ["temperature 15", "temperature 21", "temperature 30"]
    texts = [
        phrases[name][turn]
        for turn in range(max(map(len, phrases.values())))
        for name in names
        if turn < len(phrases[name])
    ]
    return [_request(text, tools) for text in texts[:count]]


def _request(text: str, tools: Sequence[world.Tool]) -> Request:
    ask = world.ASKS[text]
    written = world.answer(ask, (), tools)
    (call,) = json.loads(written.removeprefix("<|tool_call|>").split("<|/")[0])
    return Request(text, call["name"], call["arguments"], world.answer(ask))


def spoken(typed: Sequence[Request]) -> Iterator[Request]:
    """Say the requests, with a pause before and after."""
    with tempfile.TemporaryDirectory() as folder:
        for request in typed:
            samples = voices.say(VOICE, request.text, 0, Path(folder) / "out.wav")
            if samples is None:
                continue
            padded = np.concatenate([np.zeros(8_000), samples, np.zeros(20_000)])
            sound = base64.b64encode(pcm(padded.astype(np.float32))).decode()
            yield Request(
                request.text, request.name, request.arguments, request.answer, sound
            )


def judge(request: Request, events: Sequence[Event]) -> Outcome:
    """Say what became of a request, from all that the client received."""
    items = [item for response in responses(events) for item in response["output"]]
    calls = [item for item in items if item["type"] == "function_call"]
    made = [(call["name"], json.loads(call["arguments"] or "{}")) for call in calls]
    said = "".join(text_of(response) for response in responses(events))
    is_called = made == [(request.name, request.arguments)]
    return Outcome(
        is_called=is_called,
        is_answered=is_called and evaluate.says(request.answer, said),
        shown=f"{made} {said!r}",
    )


async def ask(url: str, request: Request) -> Outcome:
    # Here and not at the top: the import takes seconds.
    from tests.clients import peers

    flow = Flow((), lambda events: None, tools=TOOLS, result=request.answer)
    async with peers.agents(url, flow) as peer:
        await (peer.speak(request.sound) if request.sound else peer.say(request.text))
        for _ in range(MAX_RESPONSES):
            await peer.wait("response.done")
            latest = responses(peer.events)[-1]["output"]
            # The SDK answers a call by itself; words are the end.
            if not any(item["type"] == "function_call" for item in latest):
                break
        return judge(request, peer.events)


def main() -> None:
    parser = argparse.ArgumentParser(description="tool calls through the agents SDK")
    parser.add_argument("--requests", type=int, default=36)
    parser.add_argument("--kind", choices=("typed", "spoken", "both"), default="both")
    options = parser.parse_args()
    typed = requests(options.requests)
    asked = typed if options.kind != "spoken" else []
    if options.kind != "typed":
        able, absent = voices.installed([VOICE])
        print(
            "".join(f"absent: {program}, nothing is spoken\n" for program in absent), end=""
        )
        asked = [*asked, *(spoken(typed) if able else ())]
    outcomes = []
    with running() as service:
        for request in asked:
            outcome = asyncio.run(ask(service.url, request))
            outcomes.append((request, outcome))
            if not outcome.is_answered:
                print(f"  {request.kind}, {request.text!r}: {outcome.shown}")
    rates: dict[str, float] = {}
    for kind in ("typed", "spoken"):
        found = [outcome for request, outcome in outcomes if request.kind == kind]
        if found:
            rates[f"{kind}_called"] = sum(o.is_called for o in found) / len(found)
            rates[f"{kind}_answered"] = sum(o.is_answered for o in found) / len(found)
    for name, rate in rates.items():
        missed = "" if rate >= BOUND else f", {100 * BOUND:.0f} % wanted"
        print(f"{name:20} {100 * rate:6.1f} % right{missed}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(
        json.dumps(
            {
                "bench": "tool_calls",
                "machine": machine,
                "requests": len(outcomes),
                **{name: round(rate, 4) for name, rate in rates.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
