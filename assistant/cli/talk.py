"""``assistant talk``: a terminal client, to try the service without a browser."""

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path

from assistant.cli.options import KEY_VARIABLE
from assistant.errors import CommandError

_MEDIA_TYPES = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n"), "image/png"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)
"""How a picture starts, and what it is then."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "talk",
        help="talk to a running service from the terminal",
        description="Without --wav and --text the microphone is used.",
    )
    parser.add_argument("--url", default="ws://127.0.0.1:8000", metavar="URL")
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--wav", type=Path, metavar="FILE", help="say this sound file")
    said.add_argument("--text", metavar="T", help="ask this in writing")
    parser.add_argument(
        "--image",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="show this picture; several are shown one a second",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="S",
        help="wait so long for an answer",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="accept any certificate (self-signed)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Hold the conversation; return the exit status."""
    # Imported late: numpy and the audio libraries take longer than the other commands.
    from assistant.cli import conversation, sound

    pictures = [conversation.Picture(*read_picture(file)) for file in options.image]
    service = conversation.Service(
        url=conversation.websocket_url(options.url),
        key=os.environ.get(KEY_VARIABLE, ""),
        is_insecure=options.insecure,
    )
    if options.text is not None:
        talking = conversation.ask(service, options.text, pictures, _show, options.timeout)
    elif options.wav is not None:
        chunks = sound.read_file(options.wav)
        talking = conversation.speak(service, chunks, pictures, _show, options.timeout)
    else:
        talking = conversation.speak_microphone(service, pictures, _show)
    asyncio.run(talking)
    return 0


def read_picture(file: Path) -> tuple[bytes, str]:
    """
    Return (bytes, media type) of a picture file.

    Raises:
        CommandError: It cannot be read, or is neither JPEG, PNG nor WebP.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    for start, media_type in _MEDIA_TYPES:
        if start.match(data):
            return data, media_type
    raise CommandError(f"{file} is neither a JPEG nor a PNG nor a WebP picture")


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
