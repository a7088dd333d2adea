"""
A checkpoint folder as a table of tensors with native names, checked against its config.

Knows both layouts, shards and adapter folders; reads headers now and values on demand.
Everything that is missing, unexpected or of a wrong shape is found before the first
value is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from assistant.errors import CheckpointError
from assistant.model import tensor_names
from assistant.model.config import ModelConfig, parse_config
from assistant.model.json_file import read_json
from assistant.model.lora import LoraPair, checked_pair, read_adapter
from assistant.model.safetensors_file import StoredTensor, read_header, refuse_pickle
from assistant.model.tensor_names import MODES, Mode, Shape

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class Readable(Protocol):
    """A tensor whose values are there when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> Tensor:
        """Return the values; on the CPU if they come from a file."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder holds, by native name."""

    directory: Path
    config: ModelConfig
    tensors: Mapping[str, Readable]
    """Base weights; those that no output depends on are left out."""
    loras: dict[Mode, dict[str, LoraPair]]
    """Factors by the matrix they change; empty for Phi-4-mini."""

    def under(self, prefix: str) -> dict[str, Readable]:
        """Return the tensors whose name starts with ``prefix``, by the rest of it."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def read_checkpoint(directory: Path, adapters: Path | None = None) -> Checkpoint:
    """
    Read the headers of a model folder.

    Args:
        directory: ``config.json`` and safetensors, in any of the three layouts.
        adapters: A folder with ``speech-lora/`` and/or ``vision-lora/`` that replace the
            checkpoint's own adapters.

    Raises:
        CheckpointError: Something is missing, damaged, unexpected or of a wrong shape.
    """
    config = parse_config(directory)
    stored = _read_shards(directory)
    expected, unused = _expected(config)
    own: dict[Mode, dict[str, LoraPair]] = {}
    if config.layout == "original":
        own = _take_loras(directory, config, stored)
    elif config.layout == "native":
        own = _read_lora_folders(directory, config)
    for name in unused:
        stored.pop(name, None)
    _require(directory, config, stored, expected)
    replaced = {} if adapters is None else _read_replacements(adapters, config)
    return Checkpoint(directory, config, stored, own | replaced)


def _read_shards(directory: Path) -> dict[str, StoredTensor]:
    """Return all tensors of the main files, by native name."""
    if (directory / INDEX).exists():
        index = read_json(directory / INDEX)
        located = {n: str(s) for n, s in index.section("weight_map").values.items()}
    elif (directory / SINGLE).exists():
        located = dict.fromkeys(read_header(directory / SINGLE), SINGLE)
    else:
        refuse_pickle(directory)
        raise CheckpointError(f"{directory} holds neither {INDEX} nor {SINGLE}")
    stored: dict[str, StoredTensor] = {}
    for shard in sorted(set(located.values())):
        # A name that leads out of the folder is not something a download tool writes.
        if Path(shard).name != shard:
            raise CheckpointError(f"{directory / INDEX}: {shard!r} is not a file name")
        if Path(shard).suffix != ".safetensors":
            raise CheckpointError(f"{directory / INDEX}: {shard} is not a safetensors file")
        for name, tensor in read_header(directory / shard).items():
            native = tensor_names.native_name(name)
            if native in stored:
                raise CheckpointError(
                    f"{tensor.file}: tensor {name} is also in {stored[native].file.name}"
                )
            stored[native] = tensor
    for name, shard in located.items():
        if tensor_names.native_name(name) not in stored:
            raise CheckpointError(f"{directory / shard}: tensor {name} is missing")
    return stored


def _expected(config: ModelConfig) -> tuple[dict[str, Shape], set[str]]:
    """Return the tensors that must be there, and those that may be and are not read."""
    shapes = tensor_names.decoder_shapes(config)
    unused: set[str] = set()
    if config.vision is not None:
        shapes |= tensor_names.image_shapes(config.vision, config.hidden_size)
        unused |= tensor_names.unused_shapes(config.vision).keys()
    if config.audio is not None:
        shapes |= tensor_names.audio_shapes(config.audio, config.hidden_size)
    if config.tie_word_embeddings:
        unused.add(tensor_names.LM_HEAD)
    return shapes, unused


def _require(
    directory: Path,
    config: ModelConfig,
    stored: Mapping[str, StoredTensor],
    expected: Mapping[str, Shape],
) -> None:
    for name, tensor in stored.items():
        if name not in expected:
            raise CheckpointError(f"{tensor.file}: unexpected tensor {tensor.name}")
        tensor.require_shape(expected[name])
    for name in expected:
        if name not in stored:
            spelled = name
            if config.layout == "original":
                spelled = tensor_names.original_name(name)
            raise CheckpointError(f"{directory}: tensor {spelled} is missing")


def _take_loras(
    directory: Path, config: ModelConfig, stored: dict[str, StoredTensor]
) -> dict[Mode, dict[str, LoraPair]]:
    """Move the LoRA factors of the original layout out of ``stored``."""
    sizes = {"vision": config.vision_lora, "speech": config.speech_lora}
    loras: dict[Mode, dict[str, LoraPair]] = {}
    for mode in MODES:
        size = sizes[mode]
        assert size is not None
        loras[mode] = {}
        for target, shape in tensor_names.lora_targets(config).items():
            found: dict[str, StoredTensor] = {}
            for factor in "AB":
                stem = target.removesuffix(".weight")
                name = f"{stem}.lora_{factor}.weight@{mode}"
                if name not in stored:
                    spelled = tensor_names.original_name(name)
                    raise CheckpointError(f"{directory}: tensor {spelled} is missing")
                found[factor] = stored.pop(name)
            loras[mode][target] = checked_pair(target, shape, found, size)
    return loras


def _read_lora_folders(
    directory: Path, config: ModelConfig
) -> dict[Mode, dict[str, LoraPair]]:
    """Read the stock adapters of the native layout; they change every target."""
    targets = tensor_names.lora_targets(config)
    loras: dict[Mode, dict[str, LoraPair]] = {}
    for mode in MODES:
        folder = directory / f"{mode}-lora"
        loras[mode] = read_adapter(folder, targets)
        for target in targets:
            if target not in loras[mode]:
                raise CheckpointError(f"{folder}: factors of {target} are missing")
    return loras


def _read_replacements(
    adapters: Path, config: ModelConfig
) -> dict[Mode, dict[str, LoraPair]]:
    """Read the adapters a user brought."""
    if not adapters.is_dir():
        raise CheckpointError(f"{adapters} is not a folder")
    if config.layout == "text":
        raise CheckpointError(f"{adapters}: a text-only model takes no adapters")
    folders = {mode: adapters / f"{mode}-lora" for mode in MODES}
    present = {mode: folder for mode, folder in folders.items() if folder.is_dir()}
    if not present:
        raise CheckpointError(f"{adapters} holds neither speech-lora/ nor vision-lora/")
    targets = tensor_names.lora_targets(config)
    return {mode: read_adapter(folder, targets) for mode, folder in present.items()}
