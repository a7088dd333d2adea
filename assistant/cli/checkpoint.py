"""
What a checkpoint folder is, said without loading it.

Knows file names, JSON and safetensors headers of the two layouts of Phi-4-multimodal and
of Phi-4-mini; needs no torch and runs no code from the folder.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant.cli.progress import readable_bytes
from assistant.cli.safetensors_header import Tensor, read_header
from assistant.errors import CheckpointError

LAYOUTS = {
    "phi4mm": "original Phi-4-multimodal",
    "phi4_multimodal": "native Phi-4-multimodal",
    "phi3": "Phi-4-mini, text only",
}
"""``model_type`` in config.json to what it means."""

_ADAPTER_KEY = re.compile(r"\.lora_A\.(?:(vision|speech)\.)?weight$")
_ADAPTER_FOLDERS = {"speech": "speech-lora", "vision": "vision-lora"}
_MAX_JSON_BYTES = 64 * 2**20


def describe(folder: Path) -> Iterator[tuple[str, str]]:
    """
    Yield (name, value) rows about the checkpoint in ``folder``.

    Raises:
        CheckpointError: A file is missing, cut off or contradicts itself.
    """
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type"))
    shards = shard_files(folder)
    tensors = {
        name: tensor for file in shards for name, tensor in read_header(file).items()
    }

    yield "folder", str(folder)
    yield "layout", f"{LAYOUTS.get(kind, 'unknown, not served')} (model_type {kind})"
    adapters = {name: t for name, t in tensors.items() if ".lora_" in name}
    yield "parameters", _millions(tensors.values())
    if adapters:
        yield "", f"of them {_millions(adapters.values())} in adapters"
    yield "dtype", _dtypes(tensors)
    yield "shards", f"{len(shards)}, {readable_bytes(sum(_size(file) for file in shards))}"
    yield "adapters", _adapters(folder, tensors)
    yield "tokenizer", _tokenizer(folder)
    yield "context", _context(config)
    everything = sum(_size(file) for file in folder.rglob("*") if file.is_file())
    yield "on disk", readable_bytes(everything)


def shard_files(folder: Path) -> list[Path]:
    """
    Return the files that hold the weights, by the index if there is one.

    Raises:
        CheckpointError: A shard is missing, or the index names something else.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if not index.is_file():
        if not single.is_file():
            raise CheckpointError(
                f"{folder} has no model.safetensors and no index of shards"
            )
        return [single]
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index} has no weight_map")
    shards = []
    for name in sorted({str(place) for place in places.values()}):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(f"{index} names {name!r}, which is not a shard beside it")
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing")
        shards.append(folder / name)
    return shards


def read_json(file: Path) -> dict[str, Any]:
    """
    Read one JSON object of a checkpoint.

    Raises:
        CheckpointError: There is none.
    """
    try:
        if _size(file) > _MAX_JSON_BYTES:
            raise CheckpointError(f"{file} has over {_MAX_JSON_BYTES} bytes")
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{file} is not a JSON object")
    return document


def _size(file: Path) -> int:
    return file.stat().st_size


def _millions(tensors: "Iterator[Tensor] | Any") -> str:
    return f"{sum(tensor.num_numbers for tensor in tensors) / 1e6:,.3f} M"


def _dtypes(tensors: dict[str, Tensor]) -> str:
    counts = Counter(tensor.dtype for tensor in tensors.values())
    return ", ".join(f"{dtype} ({num} tensors)" for dtype, num in counts.most_common())


def _adapters(folder: Path, tensors: dict[str, Tensor]) -> str:
    """List each adapter with its rank, which is the height of its A matrices."""
    ranks: dict[str, set[int]] = {}
    _collect_ranks(ranks, tensors, "main")
    for name, subfolder in _ADAPTER_FOLDERS.items():
        file = folder / subfolder / "adapter_model.safetensors"
        # The original layout carries the same adapters a second time in these folders.
        if name not in ranks and file.is_file():
            _collect_ranks(ranks, read_header(file), name)
    listed = (f"{name} (rank {_joined(ranks[name])})" for name in sorted(ranks))
    return ", ".join(listed) or "none"


def _collect_ranks(
    ranks: dict[str, set[int]], tensors: dict[str, Tensor], default: str
) -> None:
    for key, tensor in tensors.items():
        if (found := _ADAPTER_KEY.search(key)) and tensor.shape:
            ranks.setdefault(found[1] or default, set()).add(tensor.shape[0])


def _joined(numbers: set[int]) -> str:
    return " and ".join(str(number) for number in sorted(numbers))


def _tokenizer(folder: Path) -> str:
    file = folder / "tokenizer.json"
    if not file.is_file():
        return "none: tokenizer.json is missing"
    document = read_json(file)
    model, added = document.get("model"), document.get("added_tokens")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise CheckpointError(f"{file} has no vocabulary")
    num_added = len(added) if isinstance(added, list) else 0
    return f"{model.get('type')}, {len(model['vocab'])} tokens and {num_added} added"


def _context(config: dict[str, Any]) -> str:
    longest = config.get("max_position_embeddings")
    original = config.get("original_max_position_embeddings")
    return f"{longest} tokens" + (f", {original} without rescaling" if original else "")
