"""
Whether single words open a turn.

    python -m tests.bench.short_words --commands FOLDER [--count 300] [--seed 1]

Takes that many recordings of single words (``WORD/….ogg`` anywhere below the folder), with
half a second of a quiet room before and after each. Prints the words that open no
turn; the last line is JSON.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

from assistant.config import VadConfig
from assistant.media.audio import RATE_HZ, Samples
from assistant.media.recordings import read_audio
from assistant.media.vad import open_vad
from assistant.turns.endpointing import SILERO_HANGOVER_MS
from tests.media.labelled import probabilities, settings_with, turns

SILENCE_MS = 500


def in_a_room(word: Samples) -> Samples:
    """Return the word with half a second of faint hiss around it."""
    room = np.random.default_rng(1).normal(0, 0.0003, RATE_HZ // 2).astype(np.float32)
    return np.concatenate([room, word, room])


def missed(files: list[Path]) -> list[str]:
    """Return the recordings that open no turn."""
    settings = settings_with(SILENCE_MS, SILERO_HANGOVER_MS)
    names = []
    for file in files:
        heard = probabilities(in_a_room(read_audio(file)), open_vad(VadConfig()))
        if not turns(heard, settings):
            names.append(f"{file.parent.name}/{file.name}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description="single words that open no turn")
    parser.add_argument("--commands", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    files = sorted(options.commands.rglob("*.ogg"))
    files = random.Random(options.seed).sample(files, min(options.count, len(files)))
    names = missed(files)
    print(f"{len(names)} of {len(files)} missed: {', '.join(names)}")
    print(json.dumps({"bench": "short_words", "words": len(files), "missed": len(names)}))


if __name__ == "__main__":
    main()
