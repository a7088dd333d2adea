from pathlib import Path

import pytest

from assistant.model.checkpoint_writer import build_random


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint of the real architecture."""
    folder: Path = tmp_path_factory.mktemp("models") / "demo"
    build_random(folder)
    return folder
