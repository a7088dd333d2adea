"""
One run of the engine's measurements: build a random model, measure, compare.

Knows which measurement comes in which order; prints nothing.
"""

import gc
import math
import platform
import statistics
from dataclasses import dataclass
from typing import Any, Literal

import torch

from assistant.config import EngineConfig
from assistant.engine import bench, roofline
from assistant.engine.native_backend import NativeBackend
from assistant.engine.startup import (
    check_quantization,
    choose_device,
    choose_dtype,
    choose_num_threads,
    native_backend,
)
from assistant.model.config import ModelConfig
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.random_weights import (
    random_checkpoint,
    random_config,
    random_tokenizer,
)
from assistant.model.tensor_names import decoder_shapes

Figures = dict[str, Any]
NUM_TURNS = 10
SEQUENCE_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to measure."""

    random: str
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quantization: Literal["none", "int8", "fp8"] = "none"
    threads: int = 0
    num_output: int = 33
    repeats: int = 3
    sessions: tuple[int, ...] = (1, 4)
    baseline: Literal["none", "float32", "bfloat16"] = "float32"
    """Type in which transformers' ``generate()`` runs; "none" leaves it out."""


def measure_machine(settings: Settings) -> Figures:
    """Return the roofline card: what this machine can do, and so the bounds of a model."""
    torch.set_num_threads(choose_num_threads(settings.threads))
    device = choose_device(settings.device)
    figures: Figures = {
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "model": f"random {settings.random}",
    }
    num_decoder = _num_decoder_parameters(random_config(settings.random))
    figures["decoder_parameters"] = num_decoder
    for dtype in (torch.float32, torch.bfloat16):
        rates = roofline.measure(device, dtype)
        name = str(dtype).removeprefix("torch.")
        figures[f"{name}_gb_per_s"] = rates.bytes_per_s / 1e9
        figures[f"{name}_gflop_per_s"] = rates.flops_per_s / 1e9
        num_bytes = num_decoder * dtype.itemsize
        bound_s = rates.bound_s(num_bytes, 2 * num_decoder)
        figures[f"{name}_decoder_gb"] = num_bytes / 1e9
        figures[f"{name}_bound_ms_per_token"] = 1e3 * bound_s
    return figures


def measure_engine(settings: Settings) -> Figures:
    """Return the times of our engine, in ms."""
    device = choose_device(settings.device)
    load = _load(settings)
    config = EngineConfig(
        model=f"random {settings.random}",
        device=device,
        dtype=settings.dtype,
        quantization=settings.quantization,
        num_slots=max(*settings.sessions, 2),
        max_sequence_tokens=SEQUENCE_TOKENS,
    )
    check_quantization(config, device)
    backend = _backend(settings, config, device)
    # Random weights may say the stop token at once, which shows nothing.
    backend.stop_ids = frozenset()
    stand = bench.Stand(backend, config)
    repeats = range(settings.repeats)
    with torch.inference_mode():
        cold = bench.median([bench.cold_turn(stand, load) for _ in repeats])
        early = bench.median([bench.early_turn(stand, load) for _ in repeats])
        conversations = [bench.conversation(stand, load, NUM_TURNS) for _ in repeats]
        turns = [statistics.median(turn) for turn in zip(*conversations, strict=True)]
        steps = {
            count: statistics.median(
                bench.decode_together(stand, load, count) for _ in repeats
            )
            for count in settings.sessions
        }
    return {
        "dtype": backend.dtype,
        "quantization": settings.quantization,
        "fallbacks": "; ".join(backend.fallbacks) or "none",
        "first_token_cold_ms": 1e3 * cold.first_s,
        "first_token_image_early_ms": 1e3 * early.first_s,
        "per_token_ms": 1e3 * early.per_token_s,
        "first_token_turn_1_ms": 1e3 * turns[0],
        f"first_token_turn_{NUM_TURNS}_ms": 1e3 * turns[-1],
        "turn_growth": turns[-1] / turns[0],
        **{f"step_of_{count}_ms": 1e3 * step for count, step in steps.items()},
        **{f"tokens_per_s_of_{count}": count / step for count, step in steps.items()},
        **_memory(device),
    }


def measure_baseline(settings: Settings) -> Figures:
    """Return the times of transformers' ``generate()`` on the same weights, in ms."""
    from assistant.engine.bench_baseline import Baseline

    device = choose_device(settings.device)
    dtype = choose_dtype(settings.baseline, device)
    config = random_config(settings.random)
    checkpoint = random_checkpoint(config, device, dtype)
    baseline = Baseline(
        checkpoint, random_tokenizer(config), _load(settings), device, dtype
    )
    baseline.turn()
    timing = bench.median([baseline.turn() for _ in range(settings.repeats)])
    return {
        "generate_dtype": settings.baseline,
        "generate_first_token_ms": 1e3 * timing.first_s,
        "generate_per_token_ms": 1e3 * timing.per_token_s,
    }


def ratios(figures: Figures, settings: Settings) -> Figures:
    """Return how many times faster ours is than ``generate()``."""
    first, token = figures["generate_first_token_ms"], figures["generate_per_token_ms"]
    return {
        "ratio_cold": first / figures["first_token_cold_ms"],
        "ratio_image_early": first / figures["first_token_image_early_ms"],
        "ratio_per_token": token / figures["per_token_ms"],
        **{
            f"ratio_throughput_of_{count}": token * count / figures[f"step_of_{count}_ms"]
            for count in settings.sessions
        },
    }


def run(settings: Settings) -> Figures:
    """Measure ours, then the baseline after our model is gone, and compare."""
    figures = measure_engine(settings)
    gc.collect()
    if settings.baseline != "none":
        figures |= measure_baseline(settings)
        figures |= ratios(figures, settings)
    return figures


def _load(settings: Settings) -> bench.Load:
    vision = random_config(settings.random).vision
    assert vision is not None
    return bench.make_load(vision.image_size, settings.num_output)


def _backend(settings: Settings, config: EngineConfig, device: str) -> NativeBackend:
    sizes = random_config(settings.random)
    dtype = choose_dtype(settings.dtype, device)
    checkpoint = random_checkpoint(sizes, device, dtype)
    tokenizer = random_tokenizer(sizes)
    model = Phi4Multimodal(checkpoint, tokenizer, device, dtype, config.quantization)
    backend = native_backend(model, config)
    backend.warm_up()
    return backend


def _num_decoder_parameters(config: ModelConfig) -> int:
    """Count what writing one token reads: the tied embedding is the output head."""
    return sum(math.prod(shape) for shape in decoder_shapes(config).values())


def _device_name(device: str) -> str:
    if device == "cpu":
        return platform.processor() or platform.machine()
    return torch.cuda.get_device_name(device)


def _memory(device: str) -> Figures:
    if torch.device(device).type != "cuda":
        return {}
    return {"device_memory_gb": torch.cuda.max_memory_allocated(device) / 1e9}
