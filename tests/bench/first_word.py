"""
How soon the first word comes back, over WebRTC and over a WebSocket.

    python -m tests.bench.first_word [--transport webrtc|websocket] [--turns 10]
        [--silence-ms 200] [--model DIR]

A client on loopback, over WebRTC a stock aiortc peer, speaks a recording in real time. The
clock runs from the moment at which it gives away the packet with the last audible sample
until the first delta of text arrives: over WebRTC encoding, the network and the jitter
buffer, then the detector, the silence that ends a turn, a model that takes next to
nothing, and the way back.

Prints a table; the last line is JSON.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from av import AudioFrame

from tests.bench.webrtc_calls import post
from tests.gateway.rtc.caller import FRAME_SAMPLES, Caller, Recording, speech_48k
from tests.service.checkpoints import write_talkative
from tests.service.harness import Client, RunningService, running

LEAD_S, TAIL_S = 1.5, 3.0
AUDIBLE = 0.01
"""Of the loudest sample."""
TURN_S = 60.0
DELTA = "response.output_text.delta"


def said_48k() -> tuple[npt.NDArray[np.int16], int]:
    """Return a question between silences, whole packets, and its last audible packet."""
    speech = np.frombuffer(speech_48k(), "<i2")
    lead, tail = (np.zeros(int(s * 48_000), "<i2") for s in (LEAD_S, TAIL_S))
    said = np.concatenate([lead, speech, tail])
    said = said[: len(said) // FRAME_SAMPLES * FRAME_SAMPLES]
    level = np.abs(said.astype(np.int32))
    return said, int(np.flatnonzero(level > AUDIBLE * level.max())[-1]) // FRAME_SAMPLES


def detection(silence_ms: int) -> dict[str, object]:
    """Return the session's settings."""
    turns = {"type": "server_vad", "silence_duration_ms": silence_ms}
    return {"audio": {"input": {"turn_detection": turns}}}


class Speaker(Recording):
    """Says the same again and again; knows when the last of it was on its way."""

    def __init__(self, num_turns: int) -> None:
        said, self._last = said_48k()
        super().__init__(np.tile(said, num_turns).tobytes())
        self._length = len(said) // FRAME_SAMPLES
        self.ended_at: list[float] = []

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when they are due."""
        number = self._number
        frame = await super().recv()
        if number % self._length == self._last:
            self.ended_at.append(time.monotonic())
        return frame


async def _call(url: str, num_turns: int, silence_ms: int) -> list[float]:
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
        session = {"type": "realtime", **detection(silence_ms)}
        caller.send("session.update", session=session)
        await caller.until("response.done", num_turns)
    return [came - ended for ended, came in zip(speaker.ended_at, came_at, strict=False)]


def by_webrtc(url: str, num_turns: int, silence_ms: int) -> list[float]:
    """Hold spoken turns; return for each the seconds to the first word."""
    return asyncio.run(_call(url, num_turns, silence_ms))


def by_websocket(url: str, num_turns: int, silence_ms: int) -> list[float]:
    """As ``by_webrtc``."""
    said, last = said_48k()
    cut = (last + 1) * FRAME_SAMPLES
    parts = [
        (np.clip(soxr.resample(part / 32768, 48_000, 24_000), -1, 1) * 32767)
        .astype("<i2")
        .tobytes()
        for part in (said[:cut], said[cut:])
    ]
    ended_at: list[float] = []
    with Client(url) as client:
        client.update(**detection(silence_ms))

        def listen() -> None:
            for _ in range(num_turns):
                client.wait("response.done", TURN_S)

        listener = threading.Thread(target=listen)
        listener.start()
        for _ in range(num_turns):
            client.play(parts[0])
            ended_at.append(time.monotonic())
            client.play(parts[1])
        listener.join()
        came_at, kind = [], ""
        for event, at in zip(client.events, client.times, strict=True):
            if event["type"] == DELTA and kind != DELTA:
                came_at.append(at)
            kind = event["type"]
    return [came - ended for ended, came in zip(ended_at, came_at, strict=False)]


TRANSPORTS: dict[str, Callable[[str, int, int], list[float]]] = {
    "webrtc": by_webrtc,
    "websocket": by_websocket,
}


def measure(
    service: RunningService, transport: str, num_turns: int, silence_ms: int
) -> dict[str, object]:
    talk = TRANSPORTS[transport]
    talk(service.url, 1, silence_ms)  # warm
    ms = sorted(seconds * 1000 for seconds in talk(service.url, num_turns, silence_ms))
    return {
        "transport": transport,
        "turns": num_turns,
        "answered": len(ms),
        "silence_ms": silence_ms,
        "median_ms": round(statistics.median(ms), 1),
        "p95_ms": round(ms[int(0.95 * (len(ms) - 1))], 1),
        "max_ms": round(ms[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="speech end to first word")
    parser.add_argument("--transport", choices=TRANSPORTS, action="append")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--silence-ms", type=int, default=200)
    parser.add_argument("--model", type=Path, help="default: a small random one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = options.model or write_talkative(Path(scratch, "model"))
        file = Path(scratch, "bench.toml")
        file.write_text("[reply]\nmax_output_tokens = 20\n")
        with running("--config", str(file), "--model", str(model)) as service:
            rows = [
                measure(service, transport, options.turns, options.silence_ms)
                for transport in options.transport or TRANSPORTS
            ]
    for row in rows:
        for name, value in row.items():
            print(f"{name:<12} {value}")
        print()
    print(json.dumps({"bench": "first_word", "transports": rows}))


if __name__ == "__main__":
    main()
