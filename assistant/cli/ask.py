"""``assistant ask``: one question, or one task on a recording, from the command line."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.cli.completion_client import CompletionClient, http_address
from assistant.cli.options import KEY_VARIABLE, add_config_option, add_engine_options
from assistant.cli.own_service import running
from assistant.errors import CommandError

TASKS = ("assistant", "transcribe", "translate", "transcribe_translate", "summarise")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "ask",
        help="ask about pictures and recordings; transcribe, translate, summarise",
        description="Prints the answer as it comes. Without --url a service of its own "
        "is started, which takes as long as loading the model.",
    )
    parser.add_argument("text", nargs="?", default="", help="the question")
    parser.add_argument("--task", choices=TASKS, default="assistant")
    parser.add_argument(
        "--to", metavar="LANG", default="", help="language to translate to, in English"
    )
    parser.add_argument("--audio", type=Path, metavar="FILE", help="a recording")
    parser.add_argument(
        "--image",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a picture; may be given several times",
    )
    parser.add_argument("--url", metavar="URL", help="ask this running service")
    parser.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        metavar="S",
        help="wait so long for the next word",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="accept any certificate (self-signed)"
    )
    add_config_option(parser)
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask and print; return the exit status."""
    _check(options)
    # Imported late: numpy and the audio libraries take longer than the other commands.
    from assistant.cli import questions, talk
    from assistant.cli.conversation import Picture

    pictures = [Picture(*talk.read_picture(file)) for file in options.image]
    if options.audio is not None:
        questions.check_audio(options.task, options.audio)
    with _client(options) as client:
        asker = questions.Asker(client, client.model(), _show, _say)
        if options.task == "assistant":
            asker.ask(options.text, pictures, options.audio)
        else:
            asker.do(options.task, options.to, options.audio)
    _show("\n")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what does not go together, before anything is loaded."""
    task = options.task
    if task == "assistant":
        if not (options.text or options.audio or options.image):
            raise CommandError("nothing to ask: give a text, --audio or --image")
    elif options.audio is None or options.text or options.image:
        raise CommandError(f"--task {task} takes --audio, and neither a text nor --image")
    needs_language = task in ("translate", "transcribe_translate")
    if needs_language != bool(options.to):
        wants = "needs" if needs_language else "takes no"
        raise CommandError(f"--task {task} {wants} --to LANG")
    if options.url and (options.config or options.model or options.device):
        raise CommandError("--config, --model and --device are for a service of one's own")


@contextmanager
def _client(options: argparse.Namespace) -> Iterator[CompletionClient]:
    if options.url:
        yield CompletionClient(
            address=http_address(options.url),
            key=os.environ.get(KEY_VARIABLE, ""),
            is_insecure=options.insecure,
            timeout_s=options.timeout,
        )
        return
    arguments = []
    for name in ("config", "model", "device"):
        if (value := getattr(options, name)) is not None:
            arguments += [f"--{name}", str(value)]
    with running(arguments) as (address, key):
        yield CompletionClient(address=address, key=key, timeout_s=options.timeout)


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _say(text: str) -> None:
    """Tell how far it is, without mixing with the answer."""
    sys.stderr.write(text)
    sys.stderr.flush()
