"""Small random checkpoints in every layout, written once per run."""

from pathlib import Path

import pytest
import torch
from torch.testing import _comparison

from assistant.model.checkpoint_writer import tiny_config, write_checkpoint
from assistant.model.tokenizer import Tokenizer

torch.set_num_threads(1)


# ``assert_close`` looks first whether a tensor is spread over several machines, and what
# it asks takes a second to import.
_comparison._HAS_DTENSOR = False


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``original/``, ``native/`` and ``text/``; nobody writes to it."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for layout in ("original", "native", "text"):
        write_checkpoint(folder / layout, tiny_config(layout, image_size=224))
    return folder


@pytest.fixture(scope="session")
def tokenizer(checkpoints: Path) -> Tokenizer:
    return Tokenizer.load(checkpoints / "native", vocab_size=1024)
