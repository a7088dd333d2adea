"""
What samples and pixels cost the event loop: CPU time of one thread, in microseconds.

    python -m tests.bench.media_costs [--rounds N]

Each round times every step in turn, so that a busy machine disturbs all alike. Prints
median and 95th percentile over the rounds; the last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable

import cv2
import numpy as np

from assistant.config import LimitsConfig, VadConfig
from assistant.media.audio import RATE_HZ, AudioFormat, AudioRing, InputDecoder
from assistant.media.frames import check_frame
from assistant.media.vad import open_vad
from assistant.turns.endpointing import WINDOW_SAMPLES
from tests.media.labelled import read_recordings

CALLS_PER_ROUND = 50


def steps() -> dict[str, Callable[[], object]]:
    """Return the steps by name."""
    speech = read_recordings()[0].samples[RATE_HZ : 8 * RATE_HZ]
    window = speech[:WINDOW_SAMPLES]
    found: dict[str, Callable[[], object]] = {}

    formats: list[tuple[AudioFormat, int]] = [
        ("pcm16", 24_000), ("pcm16", 16_000), ("pcm16", 48_000), ("g711_ulaw", 8_000)
    ]  # fmt: skip
    for form, rate_hz in formats:
        decoder = InputDecoder(form, rate_hz)
        packet = bytes(rate_hz // 50 * (2 if form == "pcm16" else 1))
        name = f"decode 20 ms of {form} at {rate_hz} Hz"
        found[name] = lambda decoder=decoder, packet=packet: decoder.receive(packet)  # type: ignore[misc]

    ring = AudioRing(300 * RATE_HZ)
    found["append 20 ms to the ring"] = lambda: ring.append(speech[:320])

    silero, webrtc = open_vad(VadConfig()), open_vad(VadConfig(engine="webrtc"))
    found["silero window"] = lambda: silero.receive(window)
    found["webrtc window"] = lambda: webrtc.receive(window)

    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (24, 32, 3), np.uint8), (640, 480))
    for extension in (".jpg", ".png", ".webp"):
        data = cv2.imencode(extension, scene)[1].tobytes()
        name = f"check 640x480 {extension[1:]} of {len(data) // 1000} kB"
        found[name] = lambda data=data: check_frame(data, LimitsConfig())  # type: ignore[misc]
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    named = steps()
    costs_us: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(arguments.rounds):
        for name, step in named.items():
            began = time.thread_time_ns()
            for _ in range(CALLS_PER_ROUND):
                step()
            passed_ns = time.thread_time_ns() - began
            costs_us[name].append(passed_ns / 1000 / CALLS_PER_ROUND)
    summary = {}
    for name, costs in costs_us.items():
        median, p95 = (round(float(cost), 1) for cost in np.percentile(costs, [50, 95]))
        print(f"{name:36} {median:9.1f}  p95 {p95:9.1f}")
        summary[name] = {"median_us": median, "p95_us": p95}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
