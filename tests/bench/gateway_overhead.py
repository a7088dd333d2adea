"""
What the gateway adds: from the engine's first token to bytes on the socket.

    python -m tests.bench.gateway_overhead [--sessions 10] [--turns 5] [--model DIR]

Sessions talk in real time, each a real recording over its own WebSocket, all at once; the
service runs as a stranger would run it. ``first_token`` is when the engine process wrote
its report (stamped there, with the clock that all processes share), ``first_byte`` when
the first delta had been handed to the kernel; both stand in the timeline of every
``response.done``. The link, the session, the outbox and uvicorn lie between them.

Prints a table; the last line is JSON.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
from pathlib import Path

from tests.service.checkpoints import write_talkative
from tests.service.harness import Client, RunningService, recording, running

LINES = ("speech_end to hard_end", "hard_end to first_token", "first_token to first_byte")


def talk(url: str, sound: bytes, num_turns: int, delay_s: float) -> list[dict[str, float]]:
    """Hold ``num_turns`` spoken turns; return their timelines in ms."""
    timelines = []
    with Client(url) as client:
        threading.Event().wait(delay_s)
        for _ in range(num_turns):
            client.play(sound)
            done = client.wait("response.done", 60)["response"]
            timelines.append(done["assistant"]["timeline"])
    return timelines


def measure(
    service: RunningService, num_sessions: int, num_turns: int
) -> dict[str, object]:
    sound = recording("google_today.wav", lead_s=0.3, tail_s=1.0)
    timelines: list[dict[str, float]] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        mine = talk(service.url, sound, num_turns, 0.15 * number)
        with lock:
            timelines.extend(mine)

    cpu_s = service.cpu_s()
    threads = [threading.Thread(target=one, args=(n,)) for n in range(num_sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = num_sessions * num_turns * len(sound) / 48_000
    gaps = {
        line: sorted(t[f"{b}_ms"] - t[f"{a}_ms"] for t in timelines)
        for line in LINES
        for a, b in [line.split(" to ")]
    }
    return {
        "sessions": num_sessions,
        "turns": len(timelines),
        "gateway_cpu_s_per_session_s": round((service.cpu_s() - cpu_s) / seconds, 5),
        **{
            f"{line.replace(' ', '_')}_ms": {
                "median": round(statistics.median(values), 2),
                "p95": round(values[int(0.95 * (len(values) - 1))], 2),
                "max": round(values[-1], 2),
            }
            for line, values in gaps.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="what the gateway adds")
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--model", type=Path, help="default: a small random one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = options.model or write_talkative(Path(scratch, "model"))
        file = Path(scratch, "bench.toml")
        file.write_text("[reply]\nmax_output_tokens = 40\n[engine]\nnum_slots = 16\n")
        with running("--config", str(file), "--model", str(model)) as service:
            measure(service, 1, 1)  # warm
            result = measure(service, options.sessions, options.turns)
    print(f"{'':28}{'median':>10}{'p95':>10}{'max':>10}   ms")
    for line in LINES:
        values = result[f"{line.replace(' ', '_')}_ms"]
        assert isinstance(values, dict)
        print(f"{line:28}{values['median']:10}{values['p95']:10}{values['max']:10}")
    print(f"gateway CPU s per session-second: {result['gateway_cpu_s_per_session_s']}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(json.dumps({"bench": "gateway_overhead", "machine": machine, **result}))


if __name__ == "__main__":
    main()
