from pathlib import Path

import pytest
import torch

from assistant.errors import CheckpointError
from assistant.model.lora import merge
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.weights import read_checkpoint

GATE_UP = "layers.1.mlp.gate_up_proj.weight"


def load(folder: Path, dtype: torch.dtype = torch.bfloat16) -> Phi4Multimodal:
    return Phi4Multimodal.load(folder, device="cpu", dtype=dtype)


def test_all_layouts_answer_alike_without_an_adapter(checkpoints: Path) -> None:
    states = [
        load(checkpoints / layout).decoder("none").state_dict()
        for layout in ("original", "native", "text")
    ]
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def test_adapters_share_what_they_do_not_change(checkpoints: Path) -> None:
    model = load(checkpoints / "native")
    base, speech = model.decoder("none"), model.decoder("speech")
    assert model.decoder("speech") is speech
    assert speech.embed_tokens.weight.data_ptr() == base.embed_tokens.weight.data_ptr()
    assert speech.norm.weight.data_ptr() == base.norm.weight.data_ptr()
    assert not torch.equal(speech.state_dict()[GATE_UP], base.state_dict()[GATE_UP])


def test_adapters_are_merged_from_the_file_not_from_rounded_weights(
    checkpoints: Path,
) -> None:
    stored = read_checkpoint(checkpoints / "original")
    for mode in ("speech", "vision"):
        merged = load(checkpoints / "original").decoder(mode).state_dict()[GATE_UP]
        name = f"model.{GATE_UP}"
        expected = merge(
            stored.tensors[name].read(),
            stored.loras[mode][name],
            device="cpu",
            dtype=torch.bfloat16,
        )
        assert torch.equal(merged, expected)


def test_both_ends_of_a_reply_stop_it_whatever_the_files_say(checkpoints: Path) -> None:
    model = load(checkpoints / "text")
    ids = model.tokenizer.control_ids
    assert {ids.end, ids.end_of_text} <= set(model.config.stop_ids)


def test_phi4_mini_has_no_senses_and_no_adapters(checkpoints: Path) -> None:
    model = load(checkpoints / "text")
    assert model.image_encoder is None
    assert model.audio_encoder is None
    with pytest.raises(CheckpointError, match="has no speech adapter"):
        model.decoder("speech")


def test_nothing_is_left_without_values_or_open_to_training(checkpoints: Path) -> None:
    model = load(checkpoints / "native", torch.float32)
    assert model.image_encoder is not None
    assert model.audio_encoder is not None
    for module in (model.decoder("vision"), model.image_encoder, model.audio_encoder):
        assert not module.training
        for tensor in (*module.parameters(), *module.buffers()):
            assert tensor.device.type == "cpu"
            assert tensor.dtype == torch.float32
            assert not tensor.requires_grad
