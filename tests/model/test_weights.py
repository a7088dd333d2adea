import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from assistant.errors import CheckpointError
from assistant.model.tensor_names import LM_HEAD, MODES
from assistant.model.weights import INDEX, read_checkpoint

FIRST = "model-00001-of-00003.safetensors"
SECOND = "model-00002-of-00003.safetensors"
O_PROJ = "model.layers.0.self_attn.o_proj"


@pytest.fixture
def original(checkpoints: Path, tmp_path: Path) -> Path:
    """A copy of the original-layout checkpoint, to damage."""
    return shutil.copytree(checkpoints / "original", tmp_path / "original")


@pytest.fixture
def native(checkpoints: Path, tmp_path: Path) -> Path:
    return shutil.copytree(checkpoints / "native", tmp_path / "native")


def edit(file: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def drop_from_index(folder: Path, name: str) -> None:
    index = json.loads((folder / INDEX).read_text())
    del index["weight_map"][name]
    (folder / INDEX).write_text(json.dumps(index))


def test_both_layouts_give_the_same_bits(checkpoints: Path) -> None:
    ours, theirs = (
        read_checkpoint(checkpoints / layout) for layout in ("original", "native")
    )
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in ours.tensors.items():
        assert torch.equal(tensor.read(), theirs.tensors[name].read()), name
    for mode in MODES:
        assert ours.loras[mode].keys() == theirs.loras[mode].keys()
        for name, pair in ours.loras[mode].items():
            other = theirs.loras[mode][name]
            assert torch.equal(pair.down.read(), other.down.read())
            assert torch.equal(pair.up.read(), other.up.read())
            assert pair.scale == other.scale == 2.0


def test_what_no_output_depends_on_is_left_out(checkpoints: Path) -> None:
    names = read_checkpoint(checkpoints / "original").tensors
    assert not any("img_processor.head" in name for name in names)
    assert not any("encoder.layers.3." in name for name in names)
    assert any("encoder.layers.2." in name for name in names)


def test_a_stored_copy_of_a_tied_head_is_ignored(checkpoints: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoints / "text", tmp_path / "text")
    edit(folder / "model.safetensors", lambda t: t.update({LM_HEAD: torch.zeros(1)}))
    assert LM_HEAD not in read_checkpoint(folder).tensors


def test_a_missing_shard_is_named(original: Path) -> None:
    (original / SECOND).unlink()
    with pytest.raises(CheckpointError, match=f"{SECOND} is missing"):
        read_checkpoint(original)


def test_a_truncated_shard_is_named(original: Path) -> None:
    (original / SECOND).write_bytes((original / SECOND).read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=f"{SECOND} is damaged or incomplete"):
        read_checkpoint(original)


def test_a_tensor_that_only_the_index_knows_is_missing(original: Path) -> None:
    edit(original / FIRST, lambda t: t.pop(f"{O_PROJ}.base_layer.weight"))
    with pytest.raises(CheckpointError, match=f"{FIRST}: .* {O_PROJ}.base_layer.weight is"):
        read_checkpoint(original)


@pytest.mark.parametrize("suffix", ["base_layer.weight", "lora_A.speech.weight"])
def test_a_tensor_that_nobody_knows_is_missing(original: Path, suffix: str) -> None:
    name = f"{O_PROJ}.{suffix}"
    edit(original / FIRST, lambda t: t.pop(name))
    drop_from_index(original, name)
    with pytest.raises(CheckpointError, match=f"tensor {name} is missing"):
        read_checkpoint(original)


def test_an_unexpected_tensor_is_named_with_its_file(original: Path) -> None:
    edit(original / FIRST, lambda t: t.update({"model.extra": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=f"{FIRST}: unexpected tensor model.extra"):
        read_checkpoint(original)


@pytest.mark.parametrize("suffix", ["base_layer.weight", "lora_B.vision.weight"])
def test_a_wrong_shape_is_named_as_the_file_spells_it(original: Path, suffix: str) -> None:
    name = f"{O_PROJ}.{suffix}"
    edit(original / FIRST, lambda t: t.update({name: torch.zeros(4, 4)}))
    with pytest.raises(CheckpointError, match=rf"tensor {name} has shape \[4, 4\], must"):
        read_checkpoint(original)


def test_a_tensor_in_two_shards_is_refused(original: Path) -> None:
    edit(original / SECOND, lambda t: t.update({"model.norm.weight": torch.zeros(96)}))
    with pytest.raises(CheckpointError, match=r"tensor model\.norm\.weight is also in"):
        read_checkpoint(original)


@pytest.mark.parametrize(
    ("shard", "complaint"),
    [("../x.safetensors", "is not a file name"), ("x.bin", "is not a safetensors file")],
)
def test_an_index_that_points_elsewhere_is_refused(
    native: Path, shard: str, complaint: str
) -> None:
    index = {"weight_map": {"model.norm.weight": shard}}
    (native / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=complaint):
        read_checkpoint(native)


def test_a_folder_with_pickles_only_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoints / "text/config.json", tmp_path)
    with pytest.raises(CheckpointError, match="holds neither"):
        read_checkpoint(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"pickled weights only \(pytorch_model\.bin"):
        read_checkpoint(tmp_path)


def test_a_stock_adapter_changes_every_target(native: Path) -> None:
    file = native / "speech-lora" / "adapter_model.safetensors"
    edit(file, lambda t: [t.pop(f"{O_PROJ}.lora_{factor}.weight") for factor in "AB"])
    with pytest.raises(CheckpointError, match=f"factors of {O_PROJ}.weight are missing"):
        read_checkpoint(native)


def test_a_native_folder_without_adapters_is_incomplete(native: Path) -> None:
    shutil.rmtree(native / "vision-lora")
    with pytest.raises(CheckpointError, match="vision-lora is not a folder"):
        read_checkpoint(native)


def test_brought_adapters_replace_the_stock_ones(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints / "native/vision-lora", tmp_path / "speech-lora")
    stock = read_checkpoint(checkpoints / "native")
    changed = read_checkpoint(checkpoints / "native", adapters=tmp_path)
    target = f"{O_PROJ}.weight"
    brought = changed.loras["speech"][target].down.read()
    assert torch.equal(brought, stock.loras["vision"][target].down.read())
    assert (
        changed.loras["vision"][target].down.file == stock.loras["vision"][target].down.file
    )


def test_a_folder_without_adapters_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither speech-lora/ nor vision-lora/"):
        read_checkpoint(checkpoints / "native", adapters=tmp_path)
    with pytest.raises(CheckpointError, match="nowhere is not a folder"):
        read_checkpoint(checkpoints / "native", adapters=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="a text-only model takes no adapters"):
        read_checkpoint(checkpoints / "text", adapters=tmp_path)
