"""
The command line: finds the command, runs it, and turns what went wrong into one line.

Exit status: 0 done, 1 a stated failure, 2 wrong usage, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from assistant import __version__
from assistant.cli import ask, bench, config, demo, doctor, model, serve, talk
from assistant.errors import AssistantError

COMMANDS = (serve, talk, ask, model, bench, demo, doctor, config)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; ``run`` is the chosen command."""
    parser = argparse.ArgumentParser(
        prog="assistant",
        description="A self-hosted voice and vision assistant on Phi-4-multimodal.",
    )
    parser.add_argument("--version", action="version", version=f"assistant {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except AssistantError as error:
        sys.stderr.write(f"assistant: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has what it wanted. Python would complain once more
        # while flushing at exit, so standard output is pointed elsewhere first.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
