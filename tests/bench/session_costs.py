"""
What a session costs the gateway: silent ones and talking ones, over their own WebSockets.

    python -m tests.bench.session_costs [--sessions 50] [--seconds 20] [--packet-ms 100]
        [--noise FILE]

Every session sends packets (PCM16 at 24 kHz) in real time; stock clients take 100 ms to
fill one, our page 20. The quiet ones send a
quiet room (faint hiss, or ``--noise``, a recording of one), the talking ones a recording
of a person, over and over with a second's pause. What they cost is the gateway's
processor time over the seconds of all sessions; the engine's is not in it. The last line
is JSON.
"""

import argparse
import base64
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from websockets.sync.client import ClientConnection, connect

from assistant.media.recordings import read_audio
from tests.service.checkpoints import write_talkative
from tests.service.harness import DATA, RunningService, pcm, running

RATE_HZ = 16_000
BOUNDS = {"silent": 0.0015, "talking": 0.006}
"""CPU seconds per session-second that we have set ourselves."""


def packets(sound: bytes, packet_s: float) -> list[str]:
    """Return the events of a sound, ready to be sent."""
    size = int(packet_s * 48_000)
    starts = range(0, len(sound) - size + 1, size)
    return [
        json.dumps(
            {
                "type": "input_audio_buffer.append",
                "audio": base64.b64encode(sound[at : at + size]).decode(),
            }
        )
        for at in starts
    ]


def quiet_room(file: Path | None) -> bytes:
    """Return ten seconds in which nobody speaks."""
    if file is not None:
        return pcm(read_audio(file))
    rng = np.random.default_rng(1)
    return pcm(rng.normal(0, 0.0005, 10 * RATE_HZ).astype(np.float32))


def person() -> bytes:
    """Return a person and a second of a quiet room."""
    voice = read_audio(DATA / "LJ001-0002.flac")
    pause = np.random.default_rng(2).normal(0, 0.0005, RATE_HZ)
    return pcm(np.concatenate([voice, pause.astype(np.float32)]))


def connected(service: RunningService, count: int) -> list[ClientConnection]:
    url = service.url.replace("http", "ws", 1) + "/v1/realtime?model=demo"
    return [connect(url, compression=None) for _ in range(count)]


def cost(
    service: RunningService,
    num_sessions: int,
    duration_s: float,
    events: list[str],
    packet_s: float,
) -> float:
    """Return CPU seconds per session-second of sessions that send these events."""
    sessions = connected(service, num_sessions)
    try:
        before_s, start = service.cpu_s(), time.monotonic()
        num_packets = int(duration_s / packet_s)
        for number in range(num_packets):
            time.sleep(max(0.0, start + number * packet_s - time.monotonic()))
            for place, session in enumerate(sessions):
                # Not all of them speak at once.
                session.send(events[(number + 7 * place) % len(events)])
        return (service.cpu_s() - before_s) / (num_sessions * duration_s)
    finally:
        for session in sessions:
            session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="what a session costs the gateway")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--packet-ms", type=int, default=100)
    parser.add_argument("--noise", type=Path, help="a recording of a quiet room")
    options = parser.parse_args()
    packet_s = options.packet_ms / 1000
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        model = write_talkative(Path(scratch, "model"))
        with running("--model", str(model)) as service:
            sounds = {"silent": quiet_room(options.noise), "talking": person()}
            for name, sound in sounds.items():
                events = packets(sound, packet_s)
                cost(service, 1, 1.0, events, packet_s)  # warm
                found = cost(service, options.sessions, options.seconds, events, packet_s)
                figures[name] = round(found, 5)
                bound = BOUNDS[name]
                print(f"{name:8}  {found:.5f} CPU s per session-second, bound {bound}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    figures |= {"sessions": options.sessions, "packet_ms": options.packet_ms}
    print(json.dumps({"bench": "session_costs", "machine": machine, **figures}))


if __name__ == "__main__":
    main()
