"""
The demo model over the WebSocket in real time: right answers, and how fast they come.

    python -m tests.bench.demo_answers [--turns 40]

Recorded questions are played at their own pace beside a frame, one session after the
other, to the service as a stranger runs it but for guessing: an answer that is written
before the turn is over has neither wait nor speed. The first token is timed from the hard
end, when the turn was found to be over; all instants stand in the timeline of every
``response.done``. The speed of writing leaves the first token out.

Prints a table; the last line is JSON.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from assistant.demo import scenes, world
from assistant.demo.world import ASKS
from tests.demo.pictures import jpeg
from tests.service.harness import Client, recording, running

QUESTIONS = (
    "what colour is this", "how many are there", "what do you see", "do you see a star",
    "turn on the lights",
)  # fmt: skip


def ask(url: str, number: int) -> tuple[bool, dict[str, Any]]:
    """Hold one spoken turn; return whether the answer was right, and the response."""
    rng = np.random.default_rng(number)
    question = QUESTIONS[number % len(QUESTIONS)]
    scene = scenes.draw_scene(rng, 1 if "colour" in question else int(rng.integers(0, 4)))
    with Client(url) as client:
        client.show(jpeg(scene, seed=number))
        client.play(recording(f"demo/{question.replace(' ', '_')}.flac"))
        done: dict[str, Any] = client.wait("response.done")["response"]
    text = done["output"][0]["content"][0]["text"]
    return text == world.answer(ASKS[question], [scene]), done


def main() -> None:
    parser = argparse.ArgumentParser(description="the demo model over the WebSocket")
    parser.add_argument("--turns", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.toml"
        plain.write_text("[early]\nspeculation = false\n")
        with running("--config", str(plain)) as service:
            ask(service.url, 0)  # warm
            answered = [ask(service.url, number) for number in range(options.turns)]
    waits, rates = [], []
    for _, done in answered:
        timeline = done["assistant"]["timeline"]
        waits.append(timeline["first_token_ms"] - timeline["hard_end_ms"])
        writing_s = (timeline["done_ms"] - timeline["first_token_ms"]) / 1000
        rates.append((done["usage"]["output_tokens"] - 1) / max(writing_s, 1e-4))
    waits.sort()
    result = {
        "right": round(statistics.mean(right for right, _ in answered), 3),
        "turns": len(answered),
        "hard_end_to_first_token_ms": {
            "median": round(statistics.median(waits), 1),
            "p95": round(waits[int(0.95 * (len(waits) - 1))], 1),
        },
        "tokens_per_s": round(statistics.median(rates), 1),
    }
    for name, value in result.items():
        print(f"{name:30}{value}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(json.dumps({"bench": "demo_answers", "machine": machine, **result}))


if __name__ == "__main__":
    main()
