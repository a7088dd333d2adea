"""
What the engine process does before it serves: choose device and type, load the model.

Knows folders and devices; serves nothing.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from assistant.config import EngineConfig
from assistant.data_home import data_directory
from assistant.engine.backend import Backend
from assistant.errors import CheckpointError, ConfigError
from assistant.model.fp8 import has_fp8
from assistant.models_on_disk import DEMO, RANDOM, SHIPPED_DEMO, resolve_model

if TYPE_CHECKING:
    from assistant.engine.native_backend import NativeBackend
    from assistant.model.phi4 import Phi4Multimodal

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(wanted: str) -> str:
    """
    Return what ``engine.device`` stands for on this machine.

    Raises:
        ConfigError: There is no such device here.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    # AssertionError is what a torch built without that kind of device raises.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"engine.device = {wanted!r}: {reason}") from error
    return str(device)


def choose_dtype(wanted: str, device: str) -> torch.dtype:
    """Return what ``engine.dtype`` stands for on a device."""
    if wanted == "auto":
        return torch.float32 if device == "cpu" else torch.bfloat16
    return DTYPES[wanted]


def choose_num_threads(wanted: int) -> int:
    """Return how many threads torch computes with; 0 leaves one core to the gateway."""
    if hasattr(os, "sched_getaffinity"):
        num_cores = len(os.sched_getaffinity(0))
    else:
        num_cores = os.cpu_count() or 1
    return wanted or max(1, num_cores - 1)


def find_model(name: str) -> Path:
    """
    Return the folder of a model; random weights are made on the spot when missing.

    Raises:
        CheckpointError: It is not on this machine, or cannot be made.
    """
    if name == DEMO:
        return SHIPPED_DEMO
    if name == RANDOM:
        return _random_folder()
    return resolve_model(name)


def _random_folder() -> Path:
    from assistant.model import checkpoint_writer

    # A changed writer makes another model: the folder's name says which one wrote it.
    source = Path(checkpoint_writer.__file__).read_bytes()
    folder = data_directory() / f"random-{hashlib.sha256(source).hexdigest()[:12]}"
    if (folder / "config.json").is_file():
        return folder
    try:
        checkpoint_writer.build_random(folder)
    except CheckpointError:
        # Somebody else may have been faster; then theirs is as good.
        if not (folder / "config.json").is_file():
            raise
    except OSError as error:
        raise CheckpointError(f"the random model: {folder}: {error.strerror}") from error
    return folder


def load_backend(config: EngineConfig) -> Backend:
    """
    Load the configured model on the configured device; takes seconds to minutes.

    Raises:
        CheckpointError: The model cannot be found or loaded.
        ConfigError: The configuration does not fit this machine.
    """
    device = choose_device(config.device)
    dtype = choose_dtype(config.dtype, device)
    folder = find_model(config.model)
    adapters = Path(config.adapters).expanduser() if config.adapters else None
    check_quantization(config, device)
    try:
        return _load(config, folder, device, dtype, adapters)
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            f"{config.model} with engine.num_slots = {config.num_slots} does not fit into "
            f"the memory of {device}: {str(error).split('. ')[0]}"
        ) from error


def check_quantization(config: EngineConfig, device: str) -> None:
    """Raise ConfigError if the weights cannot be rounded as configured."""
    if config.quantization == "fp8" and not has_fp8(device):
        raise ConfigError(
            f"engine.quantization = 'fp8': {device} does not multiply 8-bit floats; "
            f"'int8' runs everywhere"
        )
    if config.quantization != "none" and config.backend != "native":
        raise ConfigError(
            f"engine.quantization = {config.quantization!r} needs engine.backend = "
            f"'native', it is {config.backend!r}"
        )


def _load(
    config: EngineConfig,
    folder: Path,
    device: str,
    dtype: torch.dtype,
    adapters: Path | None,
) -> Backend:
    if config.backend == "transformers":
        from assistant.engine.transformers_backend import TransformersBackend

        return TransformersBackend.load(folder, config, device, dtype, adapters)
    from assistant.engine import memory
    from assistant.model.phi4 import Phi4Multimodal
    from assistant.model.weights import read_checkpoint

    free = memory.free_bytes(device)
    if free is not None:
        found = read_checkpoint(folder, adapters)
        shapes = {name: tensor.shape for name, tensor in found.tensors.items()}
        num_adapters = 1 + len(found.loras)
        needs = memory.needed(found.config, shapes, num_adapters, config, dtype)
        memory.check_memory(needs, free, config, device)
    model = Phi4Multimodal.load(
        folder,
        device=device,
        dtype=dtype,
        adapters=adapters,
        quantization=config.quantization,
    )
    return native_backend(model, config)


def native_backend(model: "Phi4Multimodal", config: EngineConfig) -> "NativeBackend":
    """Return the backend over a loaded model, each part in the type that suits it."""
    from assistant.engine.native_backend import NativeBackend
    from assistant.engine.precision import choose_precision

    backend = NativeBackend(model, config.model, config)
    is_open = config.dtype == "auto" and config.quantization == "none"
    if is_open and torch.device(model.device).type == "cpu":
        backend.use(choose_precision(model))
    return backend
