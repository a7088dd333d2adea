"""
Spoken turns through a bad network: how many are answered, and how many of them alike.

    python -m tests.bench.lossy_turns [--turns 20] [--profile loss10jitter60] [--model M]

A real Chromium with recordings for a microphone and a drawing for a camera calls a service
at the other end of ``tests.network``, first through a clean network, then through the bad
one. A turn that is not answered in the page is lost; an answer is right when it is the one
that the clean run gave to the same recording. Needs root and Chromium, and some 6 s a turn.

Prints a table; the last line is JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile

from tests.demo.pictures import RED_STAR, jpeg
from tests.network import ImpairedNetwork, why_not
from tests.service.far import far_call, far_service
from tests.service.harness import DATA, RunningService
from tests.web.browser import Visit

QUESTIONS = (
    "what_colour_is_this",
    "is_it_red",
    "do_you_see_a_star",
    "how_many_are_there",
    "what_do_you_see",
)
SETUP_S = 12.0
BEFORE_S, AFTER_S = 1.5, 3.0
RATE_HZ = 48_000


def write_microphone(target: Path, names: Sequence[str]) -> float:
    """Write the questions with silence around each; return how long they take."""
    parts = [np.zeros(int(SETUP_S * RATE_HZ), np.float32)]
    for name in names:
        samples, rate_hz = soundfile.read(DATA / "demo" / f"{name}.flac", dtype="float32")
        at = np.arange(int(len(samples) * RATE_HZ / rate_hz)) * rate_hz / RATE_HZ
        before, after = (
            np.zeros(int(s * RATE_HZ), np.float32) for s in (BEFORE_S, AFTER_S)
        )
        spoken = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
        parts += [before, spoken, after]
    sound = np.concatenate(parts)
    soundfile.write(target, sound, RATE_HZ)
    return len(sound) / RATE_HZ


def replies(visited: Visit) -> list[str]:
    """Return the answers that are whole, in order."""
    found = visited.page.locator(".turn .reply[aria-busy=false]").all_inner_texts()
    return [text.strip() for text in found]


def hold_turns(
    network: ImpairedNetwork,
    service: RunningService,
    profile: str,
    names: Sequence[str],
    folder: Path,
) -> tuple[list[str], dict[str, dict[str, int]]]:
    """Ask everything once; return the answers, and what became of the packets."""
    camera = folder / "star.mjpeg"
    camera.write_bytes(jpeg((RED_STAR,)) * 10)
    takes_s = write_microphone(folder / "questions.wav", names)
    with far_call(
        network,
        service,
        folder,
        profile=profile,
        microphone=folder / "questions.wav",
        camera=camera,
    ) as (visited, _):
        deadline = time.monotonic() + takes_s + 10
        while len(replies(visited)) < len(names) and time.monotonic() < deadline:
            visited.page.wait_for_timeout(500)
        return replies(visited), network.counts()


def main() -> None:
    parser = argparse.ArgumentParser(description="spoken turns through a bad network")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--profile", default="loss10jitter60")
    parser.add_argument("--model", default="demo")
    options = parser.parse_args()
    if (reason := why_not()) is not None:
        print(f"not measured: {reason}")
        return
    names = list(islice(cycle(QUESTIONS), options.turns))
    figures: dict[str, object] = {"turns": options.turns, "profile": options.profile}
    answers: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as scratch, ImpairedNetwork() as network:
        model = ("--model", options.model)
        with far_service(network, Path(scratch), *model) as service:
            for profile in ("clean", options.profile):
                folder = Path(scratch, profile)
                folder.mkdir(exist_ok=True)
                answers[profile], counts = hold_turns(
                    network, service, profile, names, folder
                )
                figures[f"{profile}_answered"] = len(answers[profile])
                print(f"{profile:16} {len(answers[profile])} answered  {counts}")
    pairs = zip(answers["clean"], answers[options.profile], strict=False)
    figures["alike"] = sum(one == other for one, other in pairs)
    print(f"alike            {figures['alike']}")
    print(json.dumps({"bench": "lossy_turns", **figures}))


if __name__ == "__main__":
    main()
