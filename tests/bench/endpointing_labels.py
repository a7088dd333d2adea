"""
How far the boundaries of turns lie from the labels of recordings.

    python -m tests.bench.endpointing_labels [--folder FOLDER] [--noise FOLDER]

Prints every boundary's error in ms (found minus label), per detector and silence setting,
and with ``--noise`` how many utterances each recording without speech opens. The last
line is JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile

from assistant.config import EndpointingConfig, VadConfig
from assistant.media.vad import open_vad
from assistant.turns.endpointing import Endpointing
from tests.media.labelled import (
    FOLDER,
    probabilities,
    read_recordings,
    settings_with,
    turns,
    utterances,
)

DETECTORS = {
    "silero": VadConfig(),
    "webrtc-2": VadConfig(engine="webrtc"),
    "webrtc-3": VadConfig(engine="webrtc", webrtc_aggressiveness=3),
}
SILENCES_MS = (300, 500)


def measure(config: VadConfig, folder: Path) -> dict[str, object]:
    """Compare one detector with the labels; print the table, return the summary."""
    summary: dict[str, object] = {}
    recordings = [
        (recording, probabilities(recording.samples, open_vad(config)))
        for recording in read_recordings(folder)
    ]
    for silence_ms in SILENCES_MS:
        settings = settings_with(silence_ms, open_vad(config).hangover_ms)
        starts_ms: list[int] = []
        ends_ms: list[int] = []
        num_same = 0
        for recording, heard in recordings:
            found = turns(heard, settings)
            expected = utterances(recording.labels, silence_ms, found)
            print(
                f"  {silence_ms} ms  {recording.name:24}"
                f" {len(found)} turns, {len(expected)} labelled utterances"
            )
            if len(found) != len(expected):
                continue
            num_same += 1
            for turn, label in zip(found, expected, strict=True):
                start_ms, end_ms = (
                    round((a - b) * 1000) for a, b in zip(turn, label, strict=True)
                )
                print(f"      at {label[0]:7.2f} s  start {start_ms:+5}  end {end_ms:+5}")
                starts_ms.append(start_ms)
                ends_ms.append(end_ms)
        errors = np.abs(starts_ms + ends_ms)
        summary[str(silence_ms)] = {
            "recordings": len(recordings),
            "recordings_with_the_labelled_turns": num_same,
            "boundaries": len(errors),
            "max_abs_ms": int(errors.max()) if len(errors) else None,
            "median_abs_ms": float(np.median(errors)) if len(errors) else None,
            "median_start_ms": float(np.median(starts_ms)) if starts_ms else None,
            "median_end_ms": float(np.median(ends_ms)) if ends_ms else None,
        }
    return summary


def count_opens(config: VadConfig, folder: Path) -> dict[str, int]:
    """Count the utterances that recordings without speech open, where any."""
    opens = {}
    for file in sorted(folder.iterdir()):
        if file.suffix not in (".flac", ".wav"):
            continue
        samples, rate_hz = soundfile.read(file, dtype="float32")
        assert rate_hz == 16_000, (file, rate_hz)
        vad = open_vad(config)
        defaults = Endpointing.from_config(EndpointingConfig(), vad.hangover_ms)
        found = turns(probabilities(samples, vad), defaults)
        if found:
            opens[file.stem] = len(found)
    return opens


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--noise", type=Path)
    arguments = parser.parse_args()
    summary: dict[str, dict[str, object]] = {}
    for name, config in DETECTORS.items():
        print(name)
        summary[name] = measure(config, arguments.folder)
        if arguments.noise:
            summary[name]["noise_opens"] = count_opens(config, arguments.noise)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
