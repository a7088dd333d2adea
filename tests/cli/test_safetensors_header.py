"""Headers are believed only as far as the file bears them out."""

import contextlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, strategies

from assistant.cli.safetensors_header import MAX_HEADER_BYTES, Tensor, read_header
from assistant.errors import CheckpointError


def written(file: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return file


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_names_types_and_shapes_are_read_without_the_data(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "a": entry("BF16", [2, 3], 0, 12),
        "b": entry("F32", [], 12, 16),
        "c": entry("I64", [0, 5], 16, 16),
    }
    tensors = read_header(written(tmp_path / "x", header, bytes(16)))
    assert tensors == {
        "a": Tensor("BF16", (2, 3)),
        "b": Tensor("F32", ()),
        "c": Tensor("I64", (0, 5)),
    }
    assert [tensor.num_numbers for tensor in tensors.values()] == [6, 1, 0]


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b"", b""),
        (b"not json", b""),
        (b"[1]", b""),
        (b"\xff\xfe", b""),
        (b"[" * 100_000, b""),
        ({"a": 1}, b""),
        ({"a": {"dtype": "F32"}}, b""),
        ({"a": entry("PICKLE", [1], 0, 4)}, bytes(4)),
        ({"a": entry("F32", [-1], 0, 4)}, bytes(4)),
        ({"a": entry("F32", [True], 0, 4)}, bytes(4)),
        ({"a": entry("F32", [2], 0, 4)}, bytes(4)),
        ({"a": entry("F32", [1], -4, 0)}, bytes(4)),
        ({"a": entry("F32", [1], 0, 4)}, bytes(3)),
        ({"a": entry("F32", [1], 0, 4)}, bytes(5)),
        ({"a": entry("F32", [10**18], 0, 4 * 10**18)}, bytes(4)),
    ],
)
def test_a_header_that_contradicts_its_file_is_refused(
    tmp_path: Path, header: object, data: bytes
) -> None:
    with pytest.raises(CheckpointError, match="bad header"):
        read_header(written(tmp_path / "x", header, data))


@pytest.mark.parametrize("length", [100, MAX_HEADER_BYTES + 1, 2**64 - 1])
def test_a_header_longer_than_the_file_or_the_bound_is_not_read(
    tmp_path: Path, length: int
) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(CheckpointError, match=f"header of {length} bytes"):
        read_header(tmp_path / "x")


def test_a_file_too_short_for_a_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1234567")
    with pytest.raises(CheckpointError, match="no safetensors file"):
        read_header(tmp_path / "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_header(tmp_path / "x")


@given(content=strategies.binary(max_size=200))
def test_random_bytes_are_never_crash_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "random.safetensors"
    file.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        read_header(file)
