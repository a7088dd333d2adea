"""Checkpoint folders of a few hundred bytes, in both layouts; every number is zero."""

import json
import struct
from pathlib import Path

_LINEAR = "model.layers.0.mlp.down_proj"


def write_safetensors(file: Path, shapes: dict[str, list[int]]) -> None:
    """Write bfloat16 zeros of the given shapes."""
    header, end = {}, 0
    for name, shape in shapes.items():
        num_bytes = 2 * shape[0] * shape[1]
        header[name] = {
            "dtype": "BF16",
            "shape": shape,
            "data_offsets": [end, end + num_bytes],
        }
        end += num_bytes
    text = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def write_checkpoint(folder: Path, model_type: str = "phi4mm") -> Path:
    """Write the layout of ``model_type``: two shards, two adapters, a tokenizer."""
    folder.mkdir(parents=True)
    config = {
        "model_type": model_type,
        "max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}, "added_tokens": [{}]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    shards: dict[str, dict[str, list[int]]] = {
        "model-1.safetensors": {f"{_LINEAR}.weight": [10, 20]},
        "model-2.safetensors": {"model.norm.weight": [1, 10]},
    }
    for mode, rank in (("speech", 5), ("vision", 4)):
        if model_type == "phi4mm":
            key = f"{_LINEAR}.lora_A.{mode}.weight"
            shards["model-2.safetensors"][key] = [rank, 20]
        else:
            shapes = {f"{_LINEAR}.lora_A.weight": [rank, 20]}
            write_safetensors(folder / f"{mode}-lora" / "adapter_model.safetensors", shapes)
    for name, shapes in shards.items():
        write_safetensors(folder / name, shapes)
    places = {key: name for name, shapes in shards.items() for key in shapes}
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "model.safetensors.index.json").write_text(index)
    return folder
