"""
What answering at the first pause wins, and what it wastes.

    python -m tests.bench.early_answers [--sessions 1] [--repeats 1] [--model DIR]

Real recordings, with the pauses that people make, are spoken in real time over the
WebSocket to a service as a stranger would run it, once with speculation and once without.
``hard_end`` is when the turn was over, ``first_token`` when the answer began to leave the
session, ``first_byte`` when that was handed to the kernel; all three and the counts stand
in every ``response.done``. Answers are compared turn by turn, up to the first one of a
session that the speaker cut off (where, is a matter of milliseconds).

Prints a table; the last line is JSON.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.media.recordings import read_audio
from tests.media.labelled import read_recordings
from tests.service.checkpoints import write_talkative
from tests.service.harness import DATA, Client, RunningService, pcm, running

PLAIN = ("google_today.wav", "speech/google_how_old_is_the_brooklyn_bridge.wav")
LEAD_S, TAIL_S = 0.3, 1.2
GAPS = {"first token": "first_token_ms", "first byte": "first_byte_ms"}


@dataclass(frozen=True)
class Turn:
    status: str
    text: str
    timeline: dict[str, float | None]
    early: dict[str, float]


def sounds() -> list[bytes]:
    """Return what is spoken, each recording in a session of its own."""
    recordings = [found.samples for found in read_recordings()]
    recordings += [read_audio(DATA / name) for name in PLAIN]
    before, after = (np.zeros(int(s * 16_000), np.float32) for s in (LEAD_S, TAIL_S))
    return [pcm(np.concatenate([before, samples, after])) for samples in recordings]


def talk(url: str, sound: bytes) -> list[Turn]:
    """Say it all and return the turns that were made of it."""
    with Client(url) as client:
        client.play(sound)
        client.send("session.update", session={"type": "realtime"})
        client.wait("session.updated", 60)  # comes after all that the sound made happen
        while client.types().count("response.done") < client.types().count(
            "response.created"
        ):
            client.wait("response.done", 60)
        done = [e["response"] for e in client.events if e["type"] == "response.done"]
    return [
        Turn(
            response["status"],
            "".join(
                part["text"] for item in response["output"] for part in item["content"]
            ),
            response["assistant"]["timeline"],
            response["assistant"]["early"],
        )
        for response in done
    ]


def measure(
    service: RunningService, num_sessions: int, num_repeats: int
) -> list[list[Turn]]:
    """Let ``num_sessions`` speak at once until everything was said; return all turns."""
    work = list(enumerate(sounds() * num_repeats))
    told: dict[int, list[Turn]] = {}
    lock = threading.Lock()

    def one() -> None:
        while True:
            with lock:
                if not work:
                    return
                number, sound = work.pop(0)
            turns = talk(service.url, sound)
            with lock:
                told[number] = turns

    threads = [threading.Thread(target=one) for _ in range(num_sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [told[number] for number in sorted(told)]


def summary(sessions: list[list[Turn]]) -> dict[str, Any]:
    turns = [turn for session in sessions for turn in session]
    counts = {key: sum(t.early[key] for t in turns) for key in turns[0].early}
    started, confirmed = counts["speculations"], counts["confirmed"]
    computed = counts["read_tokens"] + counts["written_tokens"]
    result: dict[str, Any] = {
        "turns": len(turns),
        "started": started,
        "confirmed": confirmed,
        "rolled_back": started - confirmed,
        "computed_tokens": computed,
        "wasted_tokens": counts["wasted_tokens"],
        "wasted_share": round(counts["wasted_tokens"] / computed, 4),
        "won_ms_per_turn": round(counts["won_ms"] / len(turns), 1),
    }
    for name, key in GAPS.items():
        gaps = sorted(
            at - ended
            for turn in turns
            if (at := turn.timeline[key]) is not None
            and (ended := turn.timeline["hard_end_ms"]) is not None
        )
        result[f"hard end to {name}"] = {
            "p50": round(statistics.median(gaps), 2),
            "p95": round(gaps[round(0.95 * (len(gaps) - 1))], 2),
            "max": round(gaps[-1], 2),
        }
    return result


def compare(one: list[list[Turn]], other: list[list[Turn]]) -> tuple[int, int]:
    """Return how many turns can be compared, and how many of them say the same."""
    compared = same = 0
    for session, twin in zip(one, other, strict=True):
        for turn, plain in zip(session, twin, strict=False):
            if "cancelled" in (turn.status, plain.status):
                break
            compared += 1
            same += turn.text == plain.text
    return compared, same


def main() -> None:
    parser = argparse.ArgumentParser(description="what speculation wins and wastes")
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--model", help="default: a small random one")
    options = parser.parse_args()
    told = {}
    with tempfile.TemporaryDirectory() as scratch:
        model = options.model or str(write_talkative(Path(scratch, "model")))
        for name, early in (("on", "true"), ("off", "false")):
            file = Path(scratch, f"{name}.toml")
            file.write_text(
                f"[reply]\nmax_output_tokens = 24\n[early]\nspeculation = {early}\n"
            )
            with running("--config", str(file), "--model", model) as service:
                talk(service.url, sounds()[-2])  # warm
                told[name] = measure(service, options.sessions, options.repeats)
    results = {name: summary(sessions) for name, sessions in told.items()}
    compared, same = compare(told["on"], told["off"])
    print(f"{'speculation':28}{'on':>12}{'off':>12}")
    for key, value in results["on"].items():
        if isinstance(value, dict):
            for part in value:
                shown = [results[name][key][part] for name in results]
                print(f"{f'{key}, {part}, ms':28}{shown[0]:>12}{shown[1]:>12}")
        else:
            print(f"{key:28}{value:>12}{results['off'][key]:>12}")
    print(f"answers compared {compared}, the same {same}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    document = {"bench": "early_answers", "machine": machine, "sessions": options.sessions}
    document |= {"compared": compared, "same": same, **results}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
