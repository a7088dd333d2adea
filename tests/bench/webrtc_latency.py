"""
How soon the first word comes back over WebRTC.

    python -m tests.bench.webrtc_latency [--turns 10] [--silence-ms 200] [--model DIR]

A stock aiortc peer on loopback speaks a recording, in real time. The clock runs from the
moment at which it gives away the packet with the last audible sample until the first delta
of text arrives on its data channel: encoding, the network, the jitter buffer, the detector,
the silence that ends a turn, a model that takes next to nothing, and the way back.

Prints a table; the last line is JSON.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from av import AudioFrame

from tests.bench.webrtc_calls import post
from tests.gateway.rtc.caller import FRAME_SAMPLES, Caller, Recording, speech_48k
from tests.service.checkpoints import write_talkative
from tests.service.harness import RunningService, running

LEAD_S, TAIL_S = 1.5, 3.0
AUDIBLE = 0.01
"""Of the loudest sample."""
TURN_S = 60.0
DELTA = "response.output_text.delta"


class Speaker(Recording):
    """Says the same again and again; knows when the last of it was on its way."""

    def __init__(self, num_turns: int) -> None:
        speech = np.frombuffer(speech_48k(), "<i2")
        lead, tail = (np.zeros(int(s * 48_000), "<i2") for s in (LEAD_S, TAIL_S))
        said = np.concatenate([lead, speech, tail])
        said = said[: len(said) // FRAME_SAMPLES * FRAME_SAMPLES]
        super().__init__(np.tile(said, num_turns).tobytes())
        level = np.abs(said.astype(np.int32))
        last = int(np.flatnonzero(level > AUDIBLE * level.max())[-1])
        self._last, self._length = last // FRAME_SAMPLES, len(said) // FRAME_SAMPLES
        self.ended_at: list[float] = []

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when they are due."""
        number = self._number
        frame = await super().recv()
        if number % self._length == self._last:
            self.ended_at.append(time.monotonic())
        return frame


async def talk(url: str, num_turns: int, silence_ms: int) -> list[float]:
    """Hold spoken turns; return for each the seconds to the first word."""
    speaker = Speaker(num_turns)
    caller = Caller(speaker)
    came_at: list[float] = []
    is_waiting = False

    def note(message: str) -> None:
        nonlocal is_waiting
        kind = json.loads(message)["type"]
        if kind == "response.created":
            is_waiting = True
        elif kind == DELTA and is_waiting:
            is_waiting = False
            came_at.append(time.monotonic())

    caller.channel.on("message", note)
    async with caller, asyncio.timeout(TURN_S * (num_turns + 1)):
        await caller.accept(await asyncio.to_thread(post, url, await caller.offer()))
        await caller.is_open.wait()
        detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        caller.send("session.update", session=session)
        await caller.until("response.done", num_turns)
    return [came - ended for ended, came in zip(speaker.ended_at, came_at, strict=False)]


def measure(service: RunningService, num_turns: int, silence_ms: int) -> dict[str, object]:
    asyncio.run(talk(service.url, 1, silence_ms))  # warm
    ms = sorted(s * 1000 for s in asyncio.run(talk(service.url, num_turns, silence_ms)))
    return {
        "turns": num_turns,
        "answered": len(ms),
        "silence_ms": silence_ms,
        "median_ms": round(statistics.median(ms), 1),
        "p95_ms": round(ms[int(0.95 * (len(ms) - 1))], 1),
        "max_ms": round(ms[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="speech end to first word over WebRTC")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--silence-ms", type=int, default=200)
    parser.add_argument("--model", type=Path, help="default: a small random one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = options.model or write_talkative(Path(scratch, "model"))
        file = Path(scratch, "bench.toml")
        file.write_text("[reply]\nmax_output_tokens = 20\n")
        with running("--config", str(file), "--model", str(model)) as service:
            figures = measure(service, options.turns, options.silence_ms)
    for name, value in figures.items():
        print(f"{name:<12} {value}")
    print(json.dumps({"bench": "webrtc_latency", **figures}))


if __name__ == "__main__":
    main()
