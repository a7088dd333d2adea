"""``assistant model``: say what a checkpoint is, or download one."""

import argparse
import os
import sys
from pathlib import Path

from assistant.cli.checkpoint import describe
from assistant.cli.fetch import HUB, Fetch
from assistant.cli.progress import Progress
from assistant.models_on_disk import hub_directory, resolve_model


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser("model", help="describe or download a checkpoint")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    info = verbs.add_parser("info", help="say what a checkpoint is")
    info.add_argument("name", metavar="DIR|HUB_ID", help="a folder, or a fetched model")
    info.set_defaults(run=run_info)

    fetch = verbs.add_parser("fetch", help="download a model from the Hugging Face hub")
    fetch.add_argument("hub_id", metavar="HUB_ID", help="for example ORG/NAME")
    fetch.add_argument(
        "--revision", default="main", metavar="R", help="branch, tag or commit"
    )
    fetch.add_argument("--to", type=Path, metavar="DIR", help="where to put the files")
    fetch.add_argument(
        "--endpoint",
        default=os.environ.get("HF_ENDPOINT", HUB),
        metavar="URL",
        help=f"another hub (default {HUB})",
    )
    fetch.set_defaults(run=run_fetch)


def run_info(options: argparse.Namespace) -> int:
    """Print what the checkpoint is; return the exit status."""
    for name, value in describe(resolve_model(options.name)):
        print(f"{name:<12} {value}")
    return 0


def run_fetch(options: argparse.Namespace) -> int:
    """Download the model; return the exit status."""
    folder = options.to or hub_directory(options.hub_id)
    fetch = Fetch(
        options.hub_id,
        options.revision,
        endpoint=options.endpoint,
        token=os.environ.get("HF_TOKEN", ""),
        progress=Progress(sys.stderr),
    )
    fetch.run(folder)
    named = options.hub_id if options.to is None else folder
    print(f"{folder}\nserve it with: assistant serve --model {named}")
    return 0
