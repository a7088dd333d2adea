"""``assistant demo``: train the small model that ships with the package, and examine it."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import CheckpointError
from assistant.models_on_disk import SHIPPED_DEMO

if TYPE_CHECKING:
    from assistant.demo.corpus import Corpus

LESSONS = ("eyes", "ears", "talk", "together")
FOLDERS = {
    "commands": "recorded words with index.tsv (file, text, speaker)",
    "noise": "sounds that are no speech",
    "speech": "speech outside the demo's world",
}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser("demo", help="train or examine the demo model")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    train = verbs.add_parser("train", help="make its data and its weights anew")
    _add_data_options(train)
    train.add_argument(
        "--lesson",
        choices=LESSONS,
        help="only this one; all but the last may be learned side by side",
    )
    train.add_argument("--steps", type=int, metavar="N", help="instead of the plan's")
    train.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    train.set_defaults(run=run_train)

    evaluate = verbs.add_parser("evaluate", help="score it on what it was not trained on")
    _add_data_options(evaluate)
    evaluate.add_argument(
        "--model", type=Path, default=SHIPPED_DEMO, metavar="DIR", help="a model folder"
    )
    evaluate.add_argument(
        "--count", type=int, default=200, metavar="N", help="questions a row"
    )
    evaluate.set_defaults(run=run_evaluate)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        metavar="DIR",
        help="keeps data and states",
    )
    for name, what in FOLDERS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=what)
    parser.add_argument(
        "--photos",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="backgrounds; may be given more than once",
    )


def run_train(options: argparse.Namespace) -> int:
    """Train; return the exit status."""
    if options.lesson is not None:
        _learn(options, [options.lesson], options.threads)
        return 0
    _corpus(options)  # before two processes want it
    half = max(options.threads // 2, 1)
    ears = subprocess.Popen(_command(options, "ears", half))
    try:
        _learn(options, ["eyes", "talk"], half)
        status = ears.wait()
    finally:
        ears.terminate()
        ears.wait()
    if status:
        return status
    _learn(options, ["together"], options.threads)
    return 0


def _command(options: argparse.Namespace, lesson: str, threads: int) -> list[str]:
    """Return the command line that learns one lesson in a process of its own."""
    command = [sys.executable, "-m", "assistant", "demo", "train", "--lesson", lesson]
    command += ["--work", str(options.work), "--threads", str(threads)]
    for name in FOLDERS:
        folder = getattr(options, name)
        command += [f"--{name}", str(folder)] if folder is not None else []
    for folder in options.photos:
        command += ["--photos", str(folder)]
    if options.steps is not None:
        command += ["--steps", str(options.steps)]
    return command


def _learn(options: argparse.Namespace, wanted: Sequence[str], threads: int) -> None:
    import torch

    from assistant.demo import checkpoint, course
    from assistant.demo.photos import read_photos

    torch.set_num_threads(threads)
    corpus = _corpus(options)
    photos, _ = read_photos(options.photos, _say)
    room = course.classroom(options.work / "states", corpus, photos, _say)
    for lesson in course.LESSONS:
        if lesson not in wanted:
            continue
        net = course.learn(room, lesson, options.steps)
        if lesson == "together":
            folder = options.work / "model"
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
            checkpoint.write(folder, net, room.tokenizer)
            print(f"{folder}\nserve it with: assistant serve --model {folder}")


def run_evaluate(options: argparse.Namespace) -> int:
    """Print the table of scores, its last line as JSON; return the exit status."""
    import tokenizers
    import torch

    from assistant.demo.evaluate import evaluate
    from assistant.demo.photos import read_photos
    from assistant.demo.talk import Spelling
    from assistant.model.phi4 import Phi4Multimodal

    if not (options.model / "config.json").is_file():
        raise CheckpointError(f"{options.model} holds no model")
    model = Phi4Multimodal.load(options.model, device="cpu", dtype=torch.float32)
    spelling = Spelling(
        tokenizers.Tokenizer.from_file(str(options.model / "tokenizer.json"))
    )
    _, photos = read_photos(options.photos, _say)
    scores = evaluate(
        model, spelling, _corpus(options), photos, count=options.count, say=_say
    )
    print(json.dumps(scores))
    return 0


def _corpus(options: argparse.Namespace) -> "Corpus":
    from assistant.demo import corpus

    return corpus.gather(
        options.work / "sounds",
        commands=options.commands,
        noise=options.noise,
        speech=options.speech,
        say=_say,
    )


def _say(line: str) -> None:
    print(line, flush=True)
