"""
What a ``.safetensors`` file says it contains, read from its header alone.

Format: 8 bytes little-endian length, that many bytes of JSON, then the data. Every field
is checked against the file before it is believed; nothing is mapped or loaded.
https://huggingface.co/docs/safetensors/index#format
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import CheckpointError

MAX_HEADER_BYTES = 100 * 2**20
"""The bound of the reference implementation; real headers have well under 1 MB."""

_LENGTH = struct.Struct("<Q")
_DTYPE_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a header."""

    dtype: str
    """As the format writes it: ``BF16``, ``F32``, …."""
    shape: tuple[int, ...]

    @property
    def num_numbers(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def read_header(file: Path) -> dict[str, Tensor]:
    """
    Return the tensors of ``file`` by name.

    Raises:
        CheckpointError: The file is cut off, or its header contradicts itself or it.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(_LENGTH.size)
            if len(start) < _LENGTH.size:
                raise CheckpointError(f"{file}: {size} bytes are no safetensors file")
            (length,) = _LENGTH.unpack(start)
            bound = min(MAX_HEADER_BYTES, size - _LENGTH.size)
            if length > bound:
                raise CheckpointError(
                    f"{file}: header of {length} bytes, at most {bound} are possible"
                )
            text = stream.read(length)
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    data_bytes = size - _LENGTH.size - length
    try:
        return _parse(json.loads(text), data_bytes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{file}: bad header: {error!r}") from error


def _parse(document: dict[str, Any], data_bytes: int) -> dict[str, Tensor]:
    tensors = {}
    end = 0
    for name, entry in document.items():
        if name == "__metadata__":
            continue
        tensor = Tensor(entry["dtype"], tuple(entry["shape"]))
        if not all(type(side) is int and side >= 0 for side in tensor.shape):
            raise ValueError(f"{name}: shape {tensor.shape}")
        first, last = entry["data_offsets"]
        if last - first != tensor.num_numbers * _DTYPE_BYTES[tensor.dtype] or first < 0:
            raise ValueError(f"{name}: {tensor} in bytes {first} to {last}")
        tensors[name] = tensor
        end = max(end, last)
    if end != data_bytes:
        raise ValueError(f"{end} bytes of data announced, {data_bytes} are there")
    return tensors
