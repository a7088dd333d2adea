"""
How much memory a model takes on a device, from what its files say.

Loads nothing. Counts weights and the cache of keys and values, which do not change while
the engine serves; what a step needs besides is a share on top.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from assistant.config import EngineConfig
from assistant.engine import background
from assistant.errors import ConfigError
from assistant.model.config import ModelConfig
from assistant.model.tensor_names import lora_targets

GB = 1e9
WORKING_SHARE = 0.1
"""Activations, graphs and the allocator's waste, as a share of all the rest."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Bytes on the device."""

    weights: int
    cache: int

    @property
    def total(self) -> int:
        return int((self.weights + self.cache) * (1 + WORKING_SHARE))


def needed(
    model: ModelConfig,
    shapes: Mapping[str, tuple[int, ...]],
    num_adapters: int,
    config: EngineConfig,
    dtype: torch.dtype,
) -> Needed:
    """
    Return what a model takes.

    Args:
        model: Its sizes.
        shapes: Of all base tensors, by native name.
        num_adapters: Decoders that are kept, the one without an adapter included.
        config: How many slots of what length, and how weights are rounded.
        dtype: Of weights, keys and values.
    """
    item = dtype.itemsize
    merged = set(lora_targets(model))
    own = _count(shape for name, shape in shapes.items() if name in merged)
    shared = _count(shape for name, shape in shapes.items() if name not in merged)
    own_item = item if config.quantization == "none" else 1
    # A row of the background, and one that fills batches up where steps are recorded.
    num_rows = config.num_slots + background.NUM_ROWS + config.cuda_graphs
    positions = num_rows * config.max_sequence_tokens
    width = model.num_layers * model.num_kv_heads * model.head_dim
    return Needed(
        weights=shared * item + num_adapters * own * own_item,
        cache=2 * positions * width * item,
    )


def check_memory(needs: Needed, free: int, config: EngineConfig, device: str) -> None:
    """Raise ConfigError, with both numbers in it, if that does not fit."""
    if needs.total <= free:
        return
    raise ConfigError(
        f"{config.model} needs {needs.total / GB:.1f} GB on {device} (weights "
        f"{needs.weights / GB:.1f}, {config.num_slots} slots of "
        f"{config.max_sequence_tokens} tokens {needs.cache / GB:.1f}), "
        f"{free / GB:.1f} GB are free; fewer engine.num_slots or "
        f"engine.quantization = 'int8' take less"
    )


def free_bytes(device: str) -> int | None:
    """Return what is free on a CUDA device; None elsewhere, where nobody says."""
    if torch.device(device).type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return int(free)


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)
