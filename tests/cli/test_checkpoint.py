"""What a checkpoint is can be said from headers alone."""

import json
from pathlib import Path

import pytest

from assistant.cli.checkpoint import describe, read_json, shard_files
from assistant.errors import CheckpointError
from tests.cli.tiny_checkpoint import write_checkpoint, write_safetensors


def test_the_original_layout_has_its_adapters_in_the_shards(tmp_path: Path) -> None:
    rows = list(describe(write_checkpoint(tmp_path / "model", "phi4mm")))
    facts = dict(rows)
    assert facts["layout"] == "original Phi-4-multimodal (model_type phi4mm)"
    assert facts["adapters"] == "speech (rank 5), vision (rank 4)"
    assert facts["dtype"] == "BF16 (4 tensors)"
    assert facts["shards"].startswith("2, ")
    assert facts["tokenizer"] == "BPE, 2 tokens and 1 added"
    assert facts["context"] == "131072 tokens, 4096 without rescaling"
    assert ("", "of them 0.000 M in adapters") in rows


def test_the_native_layout_has_its_adapters_in_folders(tmp_path: Path) -> None:
    facts = dict(describe(write_checkpoint(tmp_path / "model", "phi4_multimodal")))
    assert facts["layout"].startswith("native Phi-4-multimodal")
    assert facts["adapters"] == "speech (rank 5), vision (rank 4)"
    assert facts["dtype"] == "BF16 (2 tensors)"


def test_a_single_file_without_adapters_is_a_checkpoint_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "phi3"}')
    write_safetensors(tmp_path / "model.safetensors", {"model.norm.weight": [1000, 2000]})
    facts = dict(describe(tmp_path))
    assert facts["layout"].startswith("Phi-4-mini")
    assert facts["parameters"] == "2.000 M"
    assert facts["adapters"] == "none"
    assert facts["tokenizer"] == "none: tokenizer.json is missing"


def test_another_architecture_is_called_unknown(tmp_path: Path) -> None:
    facts = dict(describe(write_checkpoint(tmp_path / "model", "llama")))
    assert facts["layout"] == "unknown, not served (model_type llama)"


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors is missing"):
        list(describe(folder))


def test_a_shard_that_is_cut_off_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    shard = folder / "model-1.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"model-1\.safetensors: bad header"):
        list(describe(folder))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "weights.bin", ""])
def test_an_index_cannot_name_other_files(tmp_path: Path, name: str) -> None:
    index = json.dumps({"weight_map": {"a": name}})
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match="not a shard beside it"):
        shard_files(tmp_path)


def test_a_folder_without_weights_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        shard_files(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(CheckpointError, match="has no weight_map"):
        shard_files(tmp_path)


@pytest.mark.parametrize("text", ["[1]", "{", "\x00", "[" * 100_000])
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json is not"):
        read_json(tmp_path / "config.json")


def test_a_tokenizer_without_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has no vocabulary"):
        list(describe(folder))
