"""``assistant bench turns``: what a turn costs its speaker, over the real WebSocket."""

import argparse
import asyncio
import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from assistant.cli import own_service
from assistant.cli.bench_report import table_lines
from assistant.cli.options import KEY_VARIABLE, add_config_option, add_engine_options
from assistant.errors import CommandError

if TYPE_CHECKING:
    from assistant.cli.conversation import Service

Item = TypeVar("Item")

OWN_CLIPS = Path(__file__).parents[2] / "tests" / "data" / "demo"
"""Spoken questions that the demo understands; a working copy has them, a wheel does not."""


def add_parser(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = kinds.add_parser(
        "turns",
        help="people talking in real time: first token, gaps, what was done early",
        description="Starts a service of its own unless --url names one.",
    )
    parser.add_argument("--url", metavar="URL", help="a service that is running")
    parser.add_argument(
        "--insecure", action="store_true", help="accept any certificate (self-signed)"
    )
    parser.add_argument(
        "--sessions", type=int, default=1, metavar="N", help="how many talk at once"
    )
    parser.add_argument(
        "--turns", type=int, default=3, metavar="N", help="recordings that each one says"
    )
    for option, what in (("--wav", "say this"), ("--image", "show this picture")):
        parser.add_argument(
            option, type=Path, action="append", default=[], metavar="FILE", help=what
        )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="S",
        help="wait so long for an answer",
    )
    add_config_option(parser)
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    # Imported late: numpy and the audio libraries take longer than the other commands.
    from assistant.cli import conversation, sound, speakers, talk, turn_figures

    for option in ("sessions", "turns"):
        if getattr(options, option) < 1:
            raise CommandError(
                f"--{option} = {getattr(options, option)}, must be at least 1"
            )
    pictures = [conversation.Picture(*talk.read_picture(file)) for file in options.image]
    recordings = [sound.read_file(file) for file in options.wav or own_clips()]
    people = [
        rotated(recordings, start, options.turns) for start in range(options.sessions)
    ]
    with _service(options) as service:
        heard = asyncio.run(
            speakers.talk_at_once(service, people, pictures, timeout_s=options.timeout)
        )
    figures = turn_figures.summary([turn_figures.turns_of(one) for one in heard])
    print("\n".join(table_lines(figures)), flush=True)
    print(json.dumps({"bench": "turns"} | figures), flush=True)
    return 0


def own_clips(folder: Path = OWN_CLIPS) -> list[Path]:
    """
    Return the recordings to say when none were given.

    Raises:
        CommandError: This installation has none.
    """
    files = sorted(folder.glob("*.flac")) + sorted(folder.glob("*.ogg"))
    if not files:
        raise CommandError("this installation has no recordings; give some with --wav FILE")
    return files


def rotated(items: Sequence[Item], start: int, count: int) -> list[Item]:
    """Return ``count`` of the items from the ``start``-th on, again and again."""
    return [items[(start + number) % len(items)] for number in range(count)]


@contextlib.contextmanager
def _service(options: argparse.Namespace) -> Iterator["Service"]:
    from assistant.cli.conversation import Service, websocket_url

    if options.url is not None:
        url, key = websocket_url(options.url), os.environ.get(KEY_VARIABLE, "")
        yield Service(url=url, key=key, is_insecure=options.insecure)
        return
    arguments: list[str] = []
    for option in ("config", "model", "device"):
        value = getattr(options, option)
        arguments += [] if value is None else [f"--{option}", str(value)]
    with own_service.running(arguments) as (address, key):
        yield Service(url=websocket_url(address), key=key)
