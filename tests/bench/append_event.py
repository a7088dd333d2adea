"""
What one ``input_audio_buffer.append`` of 20 ms costs the event loop: CPU time, in us.

    python -m tests.bench.append_event [--rounds N]

*decode* is from the text frame to the typed event, *and dispatch* up to where the samples
are in the session and its actions are carried out: everything but the resampler and the
detector, which ``media_costs`` measures. *whole* has those too. The bound is 10 us for
decode and dispatch at the median. The plain twin of the decoder is ``json`` and
``binascii``; what both make of an event is compared. The last line is JSON.
"""

import argparse
import asyncio
import base64
import binascii
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np

from assistant.config import Config, VadConfig
from assistant.gateway.call import Call
from assistant.gateway.engine_client import EngineClient
from assistant.wire import client_events as client

CALLS_PER_ROUND = 100
PACKET = bytes(range(240)) * 4  # 20 ms of PCM16 at 24 kHz
TEXT = json.dumps(
    {"type": "input_audio_buffer.append", "audio": base64.b64encode(PACKET).decode()}
)
BOUND_US = 10.0


def plain_decode(text: str) -> bytes:
    event = json.loads(text)
    assert event["type"] == "input_audio_buffer.append"
    return binascii.a2b_base64(event["audio"])


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


def without_media(call: Call) -> Call:
    """Return the call with senses that count samples and hear nothing in them."""
    senses: Any = call._senses

    def nothing() -> Iterator[float]:
        return iter(())

    senses.check = lambda data: None
    senses.hear = lambda data: len(data) // 3
    senses.probabilities = nothing
    return call


def steps() -> dict[str, Callable[[], object]]:
    event = client.decode(TEXT)
    assert isinstance(event, client.InputAudioAppend)
    assert event.audio == plain_decode(TEXT) == PACKET
    config = Config(vad=VadConfig(engine="webrtc"))
    calls = [Call(config, EngineClient(), "bench") for _ in range(2)]
    bare_box, whole_box = [call.open() for call in calls]
    bare = without_media(calls[0])
    return {
        "json and binascii": lambda: plain_decode(TEXT),
        "decode": lambda: client.decode(TEXT),
        "decode and dispatch": lambda: run(bare.receive_text(TEXT, bare_box)),
        "whole, webrtc detector": lambda: run(calls[1].receive_text(TEXT, whole_box)),
    }


async def measure(rounds: int) -> dict[str, list[float]]:
    named = steps()
    costs_us: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(rounds):
        for name, step in named.items():
            began = time.thread_time_ns()
            for _ in range(CALLS_PER_ROUND):
                step()
            passed_ns = time.thread_time_ns() - began
            costs_us[name].append(passed_ns / 1000 / CALLS_PER_ROUND)
    return costs_us


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    summary = {}
    for name, costs in asyncio.run(measure(arguments.rounds)).items():
        median, p95 = (round(float(cost), 2) for cost in np.percentile(costs, [50, 95]))
        print(f"{name:26} {median:8.2f}  p95 {p95:8.2f}")
        summary[name] = {"median_us": median, "p95_us": p95}
    summary["bound"] = {"median_us": BOUND_US}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
