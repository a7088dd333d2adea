"""
Tensors of safetensors files, read on demand through a memory map.

Knows files and their headers; knows no layout. Nothing here can run code: files that hold
pickles (``.bin``, ``.pt``, ``.pth``) are refused without being opened.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from assistant.errors import CheckpointError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file: what its header says, and a way to its values."""

    file: Path
    name: str
    shape: tuple[int, ...]
    _handle: Any  # safetensors' safe_open, which has no public type

    def read(self) -> Tensor:
        """Return the tensor on the CPU, mapped from the file where torch can do that."""
        tensor: Tensor = self._handle.get_tensor(self.name)
        return tensor

    def require_shape(self, shape: tuple[int, ...]) -> None:
        """Raise CheckpointError unless the tensor has this shape."""
        if self.shape != shape:
            raise CheckpointError(
                f"{self.file}: tensor {self.name} has shape {list(self.shape)}, "
                f"must be {list(shape)}"
            )


def read_header(file: Path) -> dict[str, StoredTensor]:
    """
    Return the tensors of a file by name.

    Raises:
        CheckpointError: The file is missing, truncated or no safetensors file.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} is missing")
    try:
        handle = safe_open(file, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(f"{file} is damaged or incomplete: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    opened: Any = handle
    return {
        name: StoredTensor(file, name, tuple(opened.get_slice(name).get_shape()), opened)
        for name in opened.keys()  # noqa: SIM118  (a handle is not a mapping)
    }


def refuse_pickle(folder: Path) -> None:
    """Raise CheckpointError if the folder holds weights in a format that can run code."""
    pickles = sorted(f.name for f in folder.iterdir() if f.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise CheckpointError(
            f"{folder} holds pickled weights only ({pickles[0]}), which can run code when "
            "loaded; convert them to safetensors"
        )
