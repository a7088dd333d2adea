"""
Which folder on this machine a model's name stands for.

Knows names and folders; never downloads and never looks into a tensor. A folder that
holds ``config.json`` is complete: ``assistant model fetch`` writes that file last.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from assistant.data_home import data_directory
from assistant.errors import CheckpointError

DEMO = "demo"
"""The name of the model that needs no folder and no download."""
SHIPPED_DEMO = Path(__file__).parent / "demo" / "model"
"""Its weights, which come with the package."""
RANDOM = "random"
"""The name of a model of random weights, which is written when it is first asked for."""
BUILT_IN = frozenset({DEMO, RANDOM})

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")


def is_hub_id(name: str) -> bool:
    """Say whether ``name`` has the form ORG/NAME of the Hugging Face hub."""
    # The hub itself refuses "--" and ".."; here they would make two names one folder.
    return bool(_HUB_ID.fullmatch(name)) and "--" not in name and ".." not in name


def hub_directory(hub_id: str, environment: Mapping[str, str] = os.environ) -> Path:
    """
    Return the folder that a fetched model lives in, whether or not it exists.

    That is ``$XDG_DATA_HOME/phi-assistant/models/ORG--NAME``.

    Raises:
        CheckpointError: ``hub_id`` is not of the form ORG/NAME.
    """
    if not is_hub_id(hub_id):
        raise CheckpointError(f"{hub_id!r} is not a model name of the form ORG/NAME")
    return data_directory(environment) / "models" / hub_id.replace("/", "--")


def resolve_model(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """
    Return the folder of the checkpoint called ``name``: a path, or a fetched ORG/NAME.

    A folder of that path wins over a fetched model of that name. Names that
    are ``BUILT_IN`` are no folders; callers answer them themselves before they come here.

    Raises:
        CheckpointError: There is no such folder, or what is in it is incomplete.
    """
    assert name not in BUILT_IN
    folder = Path(name).expanduser()
    if not folder.is_dir() and is_hub_id(name):
        folder = hub_directory(name, environment)
        if not (folder / "config.json").is_file():
            state = (
                "not completely downloaded" if folder.is_dir() else "not on this machine"
            )
            raise CheckpointError(
                f"model {name} is {state}; run: assistant model fetch {name}"
            )
    if not folder.is_dir():
        raise CheckpointError(f"model {name!r}: there is no folder {folder}")
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"model {name!r}: {folder} has no config.json")
    return folder
