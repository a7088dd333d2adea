"""
LoRA: the folders adapters come in, and merging them, ``W + (alpha / r) * B @ A``.

The product and the sum are taken in float32 and rounded once, from the checkpoint's own
base weights: subtracting an adapter again would leave the rounding behind.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from assistant.errors import CheckpointError
from assistant.model.config import LoraConfig
from assistant.model.json_file import Section, read_json
from assistant.model.safetensors_file import StoredTensor, read_header, refuse_pickle
from assistant.model.tensor_names import Shape

_KEY = re.compile(
    # peft writes the prefix, transformers does not; a peft adapter saved under a name
    # repeats it before `.weight`.
    r"(?:base_model\.model\.)?(model\.layers\.\d+\..+)\.lora_([AB])(?:\.\w+)?\.weight"
)


@dataclass(frozen=True, slots=True)
class LoraPair:
    """The factors of one matrix: ``down`` A [r, in], ``up`` B [out, r], and alpha / r."""

    down: StoredTensor
    up: StoredTensor
    scale: float


def merge(
    weight: torch.Tensor, pair: LoraPair, *, device: str, dtype: torch.dtype
) -> torch.Tensor:
    """Return ``weight`` [out, in] with ``pair`` merged, on ``device`` in ``dtype``."""
    base = weight.to(device=device, dtype=torch.float32)
    down = pair.down.read().to(device=device, dtype=torch.float32)
    up = pair.up.read().to(device=device, dtype=torch.float32)
    return torch.addmm(base, up, down, alpha=pair.scale).to(dtype)


def read_adapter(folder: Path, targets: Mapping[str, Shape]) -> dict[str, LoraPair]:
    """
    Read ``adapter_config.json`` and ``adapter_model.safetensors``.

    Args:
        folder: What peft's or transformers' ``save_pretrained`` wrote.
        targets: The matrices an adapter may change, by native name. It need not change
            all of them.

    Returns:
        Factors by the native name of the matrix they change.

    Raises:
        CheckpointError: A file is missing or does not fit this model.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder")
    config = _parse_adapter_config(read_json(folder / "adapter_config.json"))
    file = folder / "adapter_model.safetensors"
    if not file.exists():
        refuse_pickle(folder)
        raise CheckpointError(f"{file} is missing")
    factors: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in read_header(file).items():
        match = _KEY.fullmatch(name)
        target = f"{match[1]}.weight" if match else ""
        if match is None or target not in targets:
            raise CheckpointError(f"{file}: unexpected tensor {name}")
        factors.setdefault(target, {})[match[2]] = tensor
    if not factors:
        raise CheckpointError(f"{file} holds no tensors")
    return {
        target: checked_pair(target, targets[target], found, config)
        for target, found in factors.items()
    }


def checked_pair(
    target: str, shape: Shape, found: Mapping[str, StoredTensor], config: LoraConfig
) -> LoraPair:
    """Return factors ``found`` under ``"A"`` and ``"B"`` as a pair that fits ``target``."""
    for factor in "AB":
        if factor not in found:
            other = next(iter(found.values()))
            name = target.removesuffix(".weight")
            raise CheckpointError(f"{other.file}: lora_{factor} of {name} is missing")
    down, up = found["A"], found["B"]
    down.require_shape((config.rank, shape[1]))
    up.require_shape((shape[0], config.rank))
    return LoraPair(down, up, config.scale)


def _parse_adapter_config(section: Section) -> LoraConfig:
    """Refuse variants whose product is not ``alpha / r * B @ A``."""
    for key in (
        "use_dora",
        "use_rslora",
        "fan_in_fan_out",
        "rank_pattern",
        "alpha_pattern",
    ):
        if section.values.get(key):
            raise section.wrong(key, "is not supported")
    return LoraConfig(rank=section.integer("r"), alpha=section.number("lora_alpha"))
