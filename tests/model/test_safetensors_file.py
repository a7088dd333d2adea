from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from assistant.errors import CheckpointError
from assistant.model.safetensors_file import read_header, refuse_pickle


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file({"a": torch.arange(6.0).view(2, 3)}, tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


def test_a_header_tells_shapes_and_leads_to_values(file: Path) -> None:
    tensor = read_header(file)["a"]
    assert tensor.shape == (2, 3)
    assert tensor.read().tolist() == [[0, 1, 2], [3, 4, 5]]
    tensor.require_shape((2, 3))
    with pytest.raises(CheckpointError, match=r"a has shape \[2, 3\], must be \[3, 2\]"):
        tensor.require_shape((3, 2))


@pytest.mark.parametrize("num_bytes", [0, 4, 20, -1])
def test_a_truncated_file_is_refused(file: Path, num_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[:num_bytes])
    with pytest.raises(CheckpointError, match=r"x\.safetensors is damaged or incomplete"):
        read_header(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.safetensors is missing"):
        read_header(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "m.pkl"])
def test_pickles_are_refused_unopened(tmp_path: Path, name: str) -> None:
    refuse_pickle(tmp_path)
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(CheckpointError, match="pickled weights only"):
        refuse_pickle(tmp_path)
