"""
What a client that sends garbage costs the others.

    python -m tests.bench.garbage [--seconds 60] [--turns 20]

One client sends what is no event, as fast as its socket takes it: no JSON, unknown types,
wrong values, items that are too large. Beside it another one asks, typed; so it did alone
before. Prints how long the first token took in both cases, and what the service has grown
by; the last line is JSON.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import statistics
import threading
import time

from websockets.exceptions import ConnectionClosed

from tests.service.harness import Client, running

GARBAGE = (
    "garbage",
    "{}",
    "[" * 5000,
    '{"type": "nothing.like.this"}',
    '{"type": "session.update", "session": {"audio": 7}}',
    '{"type": "input_audio_buffer.append", "audio": "?"}',
    '{"type": "conversation.item.create", "item": {"type": "message", "role": "king"}}',
    '{"type": "conversation.item.delete", "item_id": "' + "x" * 5000 + '"}',
)


class Nuisance(threading.Thread):
    """Sends garbage until it is told to stop, and comes back when it is thrown out."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._is_over = threading.Event()
        self.num_sent = 0

    def run(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
                self._pester()

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def _pester(self) -> None:
        client = Client(self._url)
        try:
            for text in itertools.cycle(GARBAGE):
                if self._is_over.is_set():
                    return
                client.socket.send(text)
                self.num_sent += 1
                with contextlib.suppress(TimeoutError):
                    while True:  # read what it is told, or it would be closed for that
                        client.socket.recv(timeout=0)
        finally:
            client.socket.close()


def first_tokens_ms(url: str, turns: int, seconds: float) -> list[float]:
    """Ask for that long, at least so many turns; return the waits for the first delta."""
    waits: list[float] = []
    began = time.monotonic()
    while len(waits) < turns or time.monotonic() - began < seconds:
        with Client(url) as client:
            asked = time.monotonic()
            client.ask("Hello")
            names = client.types()
            came = client.times[names.index("response.output_text.delta")]
            waits.append(1000 * (came - asked))
    return waits


def main() -> None:
    parser = argparse.ArgumentParser(description="what garbage costs the others")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    with running() as service:
        first_tokens_ms(service.url, 3, 0)  # warm
        alone = first_tokens_ms(service.url, options.turns, 0)
        memory_mb = service.rss_mb()
        nuisance = Nuisance(service.url)
        nuisance.start()
        beside = first_tokens_ms(service.url, options.turns, options.seconds)
        nuisance.stop()
        grown_mb = service.rss_mb() - memory_mb
    result = {
        "messages_per_s": round(nuisance.num_sent / options.seconds),
        "first_token_ms": {
            "alone": round(statistics.median(alone), 1),
            "beside": round(statistics.median(beside), 1),
        },
        "grown_mb": round(grown_mb, 1),
    }
    for name, value in result.items():
        print(f"{name:20}{value}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(json.dumps({"bench": "garbage", "machine": machine, **result}))


if __name__ == "__main__":
    main()
