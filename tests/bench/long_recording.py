"""
A long recording summarised: how long it takes, and what memory it takes.

    python -m tests.bench.long_recording [--minutes 20] [--task summarise]

People's speech, over and over, as one file, is given to ``assistant ask`` as a user would,
with a service beside it; the resident memory of client, gateway and engine is looked at
ten times a second. The same is done with a tenth of the recording first: memory that grew
with the length would show. What the demo says of it means nothing. Prints a table; the
last line is JSON.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from tests.media.labelled import read_recordings
from tests.service.harness import RunningService, running


def write_speech(file: Path, seconds: float) -> None:
    """Write that much speech, 16 kHz."""
    speech = np.concatenate([found.samples for found in read_recordings()])
    left = round(seconds * 16_000)
    with soundfile.SoundFile(file, "w", 16_000, 1) as out:
        while left > 0:
            out.write(speech[:left])
            left -= len(speech)


def peak_mb(pid: int) -> float:
    """Return the resident memory of a process; 0 when it has gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def ask(service: RunningService, file: Path, task: str) -> dict[str, float]:
    """Have a task done on a recording; return seconds, and the peaks in MB."""
    command = [sys.executable, "-m", "assistant", "ask", "--url", service.url]
    began = time.monotonic()
    with subprocess.Popen(
        [*command, "--task", task, "--audio", str(file)], stdout=subprocess.DEVNULL
    ) as client:
        pids = {
            "client": client.pid,
            "gateway": service.process.pid,
            "engine": service.engine_pid(),
        }
        peaks = dict.fromkeys(pids, 0.0)
        while client.poll() is None:
            for name, pid in pids.items():
                peaks[name] = max(peaks[name], peak_mb(pid))
            time.sleep(0.1)
    assert client.returncode == 0, f"it ended with status {client.returncode}"
    return {"seconds": time.monotonic() - began} | peaks


def main() -> None:
    parser = argparse.ArgumentParser(description="a long recording: time and memory")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--task", default="summarise")
    options = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as folder, running() as service:
        for name, minutes in (("tenth", options.minutes / 10), ("whole", options.minutes)):
            file = Path(folder) / f"{name}.flac"
            write_speech(file, 60 * minutes)
            result[name] = {
                k: round(v, 1) for k, v in ask(service, file, options.task).items()
            }
            print(f"{minutes:5.1f} minutes: {result[name]}")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(json.dumps({"bench": "long_recording", "machine": machine, **result}))


if __name__ == "__main__":
    main()
