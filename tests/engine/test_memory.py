import dataclasses

import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine.memory import Needed, check_memory, free_bytes, needed
from assistant.errors import ConfigError
from assistant.model.checkpoint_writer import tiny_config
from assistant.model.tensor_names import lora_targets

CONFIG = EngineConfig(model="org/name", num_slots=4, max_sequence_tokens=100)


def test_every_adapter_has_its_matrices_and_the_rest_is_there_once() -> None:
    model = tiny_config("native")
    own = lora_targets(model)
    num_own = sum(rows * columns for rows, columns in own.values())
    shapes = {**own, "model.embed_tokens.weight": (50, 3)}
    found = needed(model, shapes, 3, CONFIG, torch.bfloat16)
    assert found.weights == 2 * (3 * num_own + 150)
    width = model.num_layers * model.num_kv_heads * model.head_dim
    num_rows = 4 + 1 + 1  # slots, the background, and what fills up recorded batches
    assert found.cache == 2 * 2 * num_rows * 100 * width
    launched = dataclasses.replace(CONFIG, cuda_graphs=False)
    found = needed(model, shapes, 3, launched, torch.bfloat16)
    assert found.cache == 2 * 2 * (num_rows - 1) * 100 * width
    assert found.total > found.weights + found.cache
    rounded = dataclasses.replace(CONFIG, quantization="int8")
    found = needed(model, shapes, 3, rounded, torch.bfloat16)
    assert found.weights == 3 * num_own + 2 * 150


def test_a_device_that_is_too_small_is_told_with_value_and_bound() -> None:
    needs = Needed(weights=26 * 10**9, cache=4 * 10**9)
    check_memory(needs, 33 * 10**9, CONFIG, "cuda")
    with pytest.raises(ConfigError) as refused:
        check_memory(needs, 16 * 10**9, CONFIG, "cuda")
    message = str(refused.value)
    assert "org/name needs 33.0 GB on cuda" in message
    assert "4 slots of 100 tokens 4.0" in message
    assert "16.0 GB are free" in message


def test_nobody_says_how_much_is_free_on_a_cpu() -> None:
    assert free_bytes("cpu") is None
