"""Where this program keeps what it downloads or makes: models and certificates."""

import os
from collections.abc import Mapping
from pathlib import Path

APPLICATION = "phi-assistant"


def data_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """
    Return ``$XDG_DATA_HOME/phi-assistant``, by default under ``~/.local/share``.

    Follows the XDG base directory specification: a relative value counts as unset.
    The folder may not exist yet.
    """
    home = Path(environment.get("XDG_DATA_HOME", ""))
    if not home.is_absolute():
        home = Path(environment.get("HOME") or Path.home()) / ".local" / "share"
    return home / APPLICATION
