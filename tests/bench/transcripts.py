"""
What the user said, in writing: how many words are wrong, and what it costs the answers.

    python -m tests.bench.transcripts [--texts 40] [--turns 20] [--commands DIR]

Speech that the demo was not trained on: the recordings of tests/data/demo, what its
held-out voices say (as far as they are installed) and, with ``--commands``, what held-out
people do (a folder with ``index.tsv``, as for ``assistant demo train``). Each goes through
a session of ``type: transcription``. The latency is that of spoken questions in real time,
from the hard end to the first token, of a session with transcripts and of one without,
turn by turn after each other on one service, without guessing. Prints a table; the last
line is JSON.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.demo import clips, voices, world
from assistant.demo.clips import Float32Array
from assistant.media.recordings import read_audio
from tests.service.harness import DATA, Client, pcm, recording, running

COMPLETED = "conversation.item.input_audio_transcription.completed"
BOUNDS = {"word_error_rate": 0.08, "latency_ratio": 1.05}
LEAD_S, TAIL_S = 0.3, 0.3
Speech = tuple[str, str, Float32Array]
"""Whose it is, what is said, 16 kHz."""


def words_of(text: str) -> list[str]:
    kept = "".join(c if c.isalnum() or c in "'<>" else " " for c in text.lower())
    return kept.split()


def word_errors(wanted: str, got: str) -> int:
    """Return how many words must be put in, left out or changed (Levenshtein)."""
    reference, found = words_of(wanted), words_of(got)
    row = list(range(len(found) + 1))
    for number, word in enumerate(reference, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(found, 1):
            change = before + (word != other)
            before, row[at] = row[at], min(change, row[at] + 1, row[at - 1] + 1)
    return row[-1]


def recorded() -> Iterator[Speech]:
    for file in sorted((DATA / "demo").iterdir()):
        text = file.stem.removeprefix("person_").replace("_", " ")
        who = "people" if file.stem.startswith("person_") else "recorded voice"
        yield who, text, read_audio(file)


def synthesised(num_texts: int) -> Iterator[Speech]:
    speakers, absent = voices.installed([v for v in voices.VOICES if v.is_held_out])
    if absent:
        print(f"absent: {', '.join(absent)}")
    if not speakers:
        return
    texts = np.random.default_rng(0).permutation(list(world.ASKS))[:num_texts]
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            speaker = speakers[number % len(speakers)]
            samples = voices.say(speaker, str(text), 0, Path(folder) / "out.wav")
            if samples is not None:
                yield "held-out voices", str(text), samples


def people(folder: Path | None, most: int) -> Iterator[Speech]:
    if folder is None:
        print("absent: more people (give --commands)")
        return
    rows = [
        line.split("\t")[:3] for line in (folder / "index.tsv").read_text().splitlines()
    ]
    columns, rows = rows[0], rows[1:]
    number = 0
    for at in np.random.default_rng(0).permutation(len(rows)):
        row = dict(zip(columns, rows[at], strict=True))
        speaker = f"{row['file'].split('/')[0]}:{row['speaker']}"
        file = folder / row["file"]
        is_known = row["text"].lower() in world.ASKS
        if number < most and is_known and clips.is_held_out(speaker) and file.is_file():
            number += 1
            yield "people", row["text"].lower(), clips.read_sound(file)


def transcribe(url: str, speech: Sequence[Speech]) -> dict[str, tuple[int, int]]:
    """Return wrong words and all words, by who said them."""
    counts: dict[str, tuple[int, int]] = {}
    for who, text, samples in speech:
        lead, tail = (np.zeros(int(s * 16_000), np.float32) for s in (LEAD_S, TAIL_S))
        with Client(url) as client:
            given = {"transcription": {"model": "phi"}, "turn_detection": None}
            client.update(type="transcription", audio={"input": given})
            client.append(pcm(np.concatenate([lead, samples, tail])))
            client.send("input_audio_buffer.commit")
            got = client.wait(COMPLETED, 60)["transcript"]
        wrong, total = counts.get(who, (0, 0))
        counts[who] = (wrong + word_errors(text, got), total + len(words_of(text)))
        if word_errors(text, got):
            print(f"  {who}: {text!r} was written as {got!r}")
    return counts


def wait_ms(client: Client, sound: bytes) -> float:
    """Return how long one spoken question waited for its first token, from its hard end."""
    client.play(sound)
    done: dict[str, Any] = client.wait("response.done", 60)["response"]
    timeline = done["assistant"]["timeline"]
    return float(timeline["first_token_ms"] - timeline["hard_end_ms"])


def latencies(url: str, num_turns: int) -> dict[bool, list[float]]:
    """Return the waits without and with transcripts, taken in turn."""
    sound = recording("demo/turn_on_the_lights.flac", lead_s=0.2, tail_s=0.8)
    waits: dict[bool, list[float]] = {False: [], True: []}
    with Client(url) as plain, Client(url) as written:
        written.update(audio={"input": {"transcription": {"model": "phi"}}})
        clients = {False: plain, True: written}
        for client in clients.values():
            wait_ms(client, sound)  # warm
        for number in range(num_turns):
            for is_written in (number % 2 == 0, number % 2 == 1):
                waits[is_written].append(wait_ms(clients[is_written], sound))
    return waits


def main() -> None:
    parser = argparse.ArgumentParser(description="transcripts: word errors and latency")
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--commands", type=Path)
    options = parser.parse_args()
    speech = [*recorded(), *synthesised(options.texts)]
    speech += people(options.commands, options.texts)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "plain.toml"
        config.write_text("[early]\nspeculation = false\n")
        with running("--config", str(config)) as service:
            counts = transcribe(service.url, speech)
            waits = latencies(service.url, options.turns)
    rates = {who: round(wrong / total, 4) for who, (wrong, total) in counts.items()}
    every = [sum(column) for column in zip(*counts.values(), strict=True)]
    medians = {kept: statistics.median(waits[kept]) for kept in waits}
    for who, rate in rates.items():
        print(f"{who:24} {100 * rate:6.1f} % of {counts[who][1]} words wrong")
    print(f"{'first token, without':24} {medians[False]:6.1f} ms median")
    print(f"{'first token, with':24} {medians[True]:6.1f} ms median")
    result = {
        "word_error_rate": round(every[0] / every[1], 4),
        "latency_ratio": round(medians[True] / max(medians[False], 1e-3), 3),
    }
    missed = [name for name, bound in BOUNDS.items() if result[name] > bound]
    print(f"missed: {', '.join(missed)}" if missed else "within the bounds")
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(
        json.dumps(
            {"bench": "transcripts", "machine": machine, **result, "by_speaker": rates}
        )
    )


if __name__ == "__main__":
    main()
