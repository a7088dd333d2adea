import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from assistant.errors import CheckpointError
from assistant.model.checkpoint_writer import build_random, tiny_config, write_checkpoint
from assistant.model.config import parse_config
from assistant.model.decoder import Decoder
from assistant.model.kv_cache import KVCache
from assistant.model.tokenizer import Tokenizer
from assistant.model.weights import INDEX, read_checkpoint

SMALL = dataclasses.replace(tiny_config("text"), num_layers=1)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_checkpoint(tmp_path / name, SMALL, seed=seed)
    same, again, other = (files_of(tmp_path / name) for name in "abc")
    assert same == again
    assert {name for name in same if same[name] != other[name]} == {"model.safetensors"}


def test_a_folder_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("assistant.model.checkpoint_writer.save_file", fail)
    with pytest.raises(CheckpointError, match="model: No space left on device"):
        write_checkpoint(tmp_path / "model", SMALL)
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / f".model.{os.getpid()}.partial" / "junk").mkdir(parents=True)
    write_checkpoint(tmp_path / "model", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (tmp_path / "model" / "junk").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file/model: Not a directory"):
        write_checkpoint(tmp_path / "file" / "model", SMALL)


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", SMALL)
    before = files_of(tmp_path)
    with pytest.raises(CheckpointError, match="not empty"):
        write_checkpoint(tmp_path / "model", SMALL, seed=1)
    assert files_of(tmp_path) == before


def test_others_may_read_the_files(checkpoints: Path) -> None:
    for file in (checkpoints / "native").rglob("*"):
        assert os.stat(file).st_mode & 0o044 == 0o044


def test_original_shards_are_cut_within_a_lora_pair(checkpoints: Path) -> None:
    index = json.loads((checkpoints / "original" / INDEX).read_text())["weight_map"]
    assert len(set(index.values())) == 3
    pair = "model.layers.0.mlp.gate_up_proj.lora_{}.speech.weight"
    assert index[pair.format("A")] != index[pair.format("B")]


def test_original_adapter_folders_repeat_the_shards(checkpoints: Path) -> None:
    """They exist for other servers; this package reads the shards."""
    file = checkpoints / "original/speech-lora/adapter_model.safetensors"
    copies = load_file(file)
    for name, pair in read_checkpoint(checkpoints / "original").loras["speech"].items():
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        assert torch.equal(copies[f"{stem}.lora_A.weight"], pair.down.read())
        assert torch.equal(copies[f"{stem}.lora_B.weight"], pair.up.read())


def test_the_random_model_is_small_says_words_and_comes_to_an_end(tmp_path: Path) -> None:
    build_random(tmp_path / "demo")
    num_bytes = sum(len(content) for content in files_of(tmp_path).values())
    assert num_bytes < 10_000_000
    checkpoint = read_checkpoint(tmp_path / "demo")
    config = parse_config(tmp_path / "demo")
    assert config.has_random_weights
    tokenizer = Tokenizer.load(tmp_path / "demo", config.vocab_size)
    weights = {name: t.read().float() for name, t in checkpoint.under("model.").items()}
    decoder = Decoder(config).requires_grad_(False)
    decoder.load_state_dict({n: weights[n] for n in decoder.state_dict()})
    replies = [
        reply(decoder, tokenizer, f"{word} tell me about number {number}.")
        for number, word in enumerate(["Hello", "Please", "Well", "Now", "So", "Yes"])
    ]
    assert all(text.isascii() and "<|" not in text for text, _ in replies)
    assert len({text for text, _ in replies}) > 4
    assert sum(has_ended for _, has_ended in replies) >= 3


def reply(decoder: Decoder, tokenizer: Tokenizer, text: str) -> tuple[str, bool]:
    """Answer greedily; return the text and whether it ended within 96 tokens."""
    ids = tokenizer.control_ids
    prompt = [ids.user, *tokenizer.encode_text(text), ids.end, ids.assistant]
    cache = KVCache(3, 1, 192, 1, 32, torch.float32, "cpu")
    hidden = decoder.prefill(decoder.embed(torch.tensor(prompt)), cache, 0, 0)[-1]
    slot = torch.zeros(1, dtype=torch.long)
    said: list[int] = []
    while len(said) < 96:
        token = int(decoder.logits(hidden).argmax())
        if token in (ids.end, ids.end_of_text):
            return tokenizer.decode(said), True
        position = slot + len(prompt) + len(said)
        said.append(token)
        embeds = decoder.embed(torch.tensor([token]))
        hidden = decoder.decode(embeds, cache, slot, position)[0]
    return tokenizer.decode(said), False
