from pathlib import Path

import pytest
from torch.testing import _comparison

from assistant.model.checkpoint_writer import build_random

# ``assert_close`` looks first whether a tensor is spread over several machines, and what
# it asks takes a second to import.
_comparison._HAS_DTENSOR = False


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint of the real architecture."""
    folder: Path = tmp_path_factory.mktemp("models") / "demo"
    build_random(folder)
    return folder
