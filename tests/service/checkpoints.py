"""A checkpoint whose replies are as long as they may be, whatever is asked."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from assistant.model.checkpoint_writer import tiny_config, write_checkpoint
from assistant.model.tensor_names import EMBEDDING


def write_talkative(directory: Path) -> Path:
    """
    Write a small native checkpoint that never says ``<|end|>``.

    Random replies have any length, also none; tests of streaming and cancelling need to
    know theirs.
    """
    config = tiny_config("native", image_size=224)
    write_checkpoint(directory, config)
    for file in directory.glob("*.safetensors"):
        tensors = load_file(file)
        if EMBEDDING in tensors:
            for stop_id in config.stop_ids:
                tensors[EMBEDDING][stop_id] *= 1e-3
            save_file(tensors, file, metadata={"format": "pt"})
    return directory
