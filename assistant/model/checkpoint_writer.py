"""
Checkpoints of random weights with every file, name and quirk of the real ones.

The demo model is one; tests read small ones in all three layouts. The same seed gives the
same weights in every layout. Sizes of the weights are chosen so that attention, norms and
adapters all matter and greedy replies are words that differ with the prompt and mostly
end: nothing in them means anything.
"""

import json
import math
import os
import re
import shutil
import zlib
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import save_file
from torch import Tensor

from assistant.errors import CheckpointError
from assistant.model import tensor_names
from assistant.model.config import (
    AudioConfig,
    Layout,
    LoraConfig,
    ModelConfig,
    RopeConfig,
    VisionConfig,
)
from assistant.model.config_writer import adapter_config, json_files
from assistant.model.tensor_names import EMBEDDING, LM_HEAD, MODES, Mode, Shape
from assistant.model.tokenizer_trainer import CORPUS, END, END_OF_TEXT, train_tokenizer
from assistant.model.weights import INDEX, SINGLE

# As a byte-level vocabulary spells " word".
_WORDS = {f"Ġ{word}" for line in CORPUS for word in re.findall("[A-Za-z]{2,}", line)}


def tiny_config(
    layout: Layout, *, vocab_size: int = 1024, image_size: int = 448
) -> ModelConfig:
    """Return sizes with every ratio of the real model that code could get wrong."""
    head_dim, num_factors = 32, 12
    vision = VisionConfig(
        hidden_size=48,
        intermediate_size=64,
        num_used_layers=3,
        num_heads=4,
        image_size=image_size,
        patch_size=14,
        layer_norm_eps=1e-6,
    )
    audio = AudioConfig(
        hidden_size=64,
        intermediate_size=96,
        num_blocks=3,
        num_heads=4,
        num_mels=80,
        conv_channels=32,
        depthwise_channels=64,
        kernel_size=3,
        time_reduction=8,
        bias_max_distance=500,
    )
    has_senses = layout != "text"
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=96,
        intermediate_size=160,
        num_layers=3,
        num_heads=3,
        num_kv_heads=1,
        head_dim=head_dim,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope=RopeConfig(
            theta=10_000.0,
            rotary_dims=2 * num_factors,
            short_factor=(1.0,) * num_factors,
            long_factor=tuple(round(48 ** (i / 11), 6) for i in range(num_factors)),
            original_max_positions=4096,
            max_positions=131_072,
        ),
        stop_ids=(END_OF_TEXT.id_in(vocab_size), END.id_in(vocab_size)),
        vision=vision if has_senses else None,
        audio=audio if has_senses else None,
        layout=layout,
        vision_lora=LoraConfig(rank=8, alpha=16.0) if has_senses else None,
        speech_lora=LoraConfig(rank=10, alpha=20.0) if has_senses else None,
        has_random_weights=True,
    )


def build_random(directory: Path) -> None:
    """
    Write the model behind ``--model random`` (native layout, 2 MB).

    Its crops are 224 pixels wide: a picture costs a quarter of the patches and tokens.
    """
    write_checkpoint(directory, tiny_config("native", image_size=224))


def write_checkpoint(
    directory: Path,
    config: ModelConfig,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """
    Write a complete model folder of ``config.layout``; all of it appears at once.

    Raises:
        CheckpointError: ``directory`` exists and is not empty, or cannot be written.
    """
    tokenizer = train_tokenizer(config.vocab_size, config.layout)
    base, loras = _random_weights(config, tokenizer, seed, dtype)
    _write_folder(directory, config, tokenizer, base, loras)


def write_trained(
    directory: Path,
    config: ModelConfig,
    tokenizer: tokenizers.Tokenizer,
    weights: dict[str, Tensor],
    adapters: dict[Mode, dict[str, Tensor]],
    *,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """
    Write a complete model folder of trained weights.

    What the files hold and no output depends on is zero.

    Args:
        directory: What to write; all of it appears at once.
        config: Of the native layout.
        tokenizer: Becomes ``tokenizer.json``.
        weights: By native name.
        adapters: The factors of each, by native name.
        dtype: What is stored.

    Raises:
        CheckpointError: ``directory`` exists and is not empty.
    """
    assert config.vision is not None
    shapes = tensor_names.unused_shapes(config.vision)
    unused = {name: torch.zeros(shape) for name, shape in shapes.items()}
    base = {name: t.to(dtype).contiguous() for name, t in (weights | unused).items()}
    loras = {
        mode: {name: tensor.to(dtype).contiguous() for name, tensor in factors.items()}
        for mode, factors in adapters.items()
    }
    _write_folder(directory, config, tokenizer, base, loras)


def _write_folder(
    directory: Path,
    config: ModelConfig,
    tokenizer: tokenizers.Tokenizer,
    base: dict[str, Tensor],
    loras: dict[Mode, dict[str, Tensor]],
) -> None:
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that died here
        partial.mkdir(parents=True)
        tokenizer.save(str(partial / "tokenizer.json"))
        for name, values in json_files(config).items():
            _write_json(partial / name, values)
        _write_weights(partial, config, base, loras)
        partial.replace(directory)  # fails unless `directory` is absent or empty
    except OSError as error:
        raise CheckpointError(f"{directory}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _random_weights(
    config: ModelConfig, tokenizer: tokenizers.Tokenizer, seed: int, dtype: torch.dtype
) -> tuple[dict[str, Tensor], dict[Mode, dict[str, Tensor]]]:
    """Return base weights and LoRA factors, by native name."""
    shapes = tensor_names.decoder_shapes(config)
    if config.vision is not None:
        shapes |= tensor_names.image_shapes(config.vision, config.hidden_size)
        shapes |= tensor_names.unused_shapes(config.vision)
    if config.audio is not None:
        shapes |= tensor_names.audio_shapes(config.audio, config.hidden_size)
    base = {name: draw_tensor(name, shape, seed) for name, shape in shapes.items()}
    for name in {EMBEDDING, LM_HEAD} & base.keys():
        base[name] *= _row_sizes(config.vocab_size, tokenizer)[:, None]
    loras: dict[Mode, dict[str, Tensor]] = {mode: {} for mode in MODES}
    for mode, lora in _lora_sizes(config).items():
        for target, (num_out, num_in) in tensor_names.lora_targets(config).items():
            stem = target.removesuffix(".weight")
            for factor, shape in (("A", (lora.rank, num_in)), ("B", (num_out, lora.rank))):
                name = f"{stem}.lora_{factor}.weight"
                drawn = draw_tensor(f"{name}@{mode}", shape, seed)
                # Doubled by alpha / rank, the product is half as large as the weight.
                loras[mode][name] = drawn * (0.25 if factor == "B" else 1.0)
    return (
        {name: tensor.to(dtype) for name, tensor in base.items()},
        {m: {n: t.to(dtype) for n, t in lora.items()} for m, lora in loras.items()},
    )


def draw_tensor(name: str, shape: Shape, seed: int, device: str = "cpu") -> Tensor:
    """Draw one float32 tensor; its values depend on its name, seed and device alone."""
    # torch's CPU generator reads 32 bits of its seed: name and seed must share them.
    number = zlib.crc32(f"{seed} {name}".encode())
    generator = torch.Generator(device).manual_seed(number)
    drawn = torch.randn(shape, generator=generator, device=device)
    if name in (EMBEDDING, LM_HEAD):
        return drawn
    if name.endswith("global_mean"):
        return 12 + drawn  # log-mel energies of speech
    if name.endswith("global_invstd"):
        return 0.25 + 0.02 * drawn
    if "norm" in name and name.endswith(".weight"):
        return 1 + 0.1 * drawn
    if "bias_values" in name or "extensor" in name:
        return 0.5 * drawn
    if "position_embedding" in name:
        return 0.3 * drawn
    if len(shape) == 1:
        return 0.05 * drawn
    gain = 1.0
    if "qkv_proj.weight" in name:
        gain = 1.75  # attention that looks at single positions
    elif "layers" in name and "gate_up_proj.weight" in name:
        gain = 1.5
    elif "projection_down" in name or "embed.down_proj_for" in name:
        gain = 0.15  # pictures and sounds of the size of words
    return gain * drawn / math.sqrt(math.prod(shape[1:]))


def _row_sizes(vocab_size: int, tokenizer: tokenizers.Tokenizer) -> Tensor:
    """
    Return the size of each row of the embedding, which is the output head as well.

    Large rows win: words are what gets said, ``<|end|>`` is drawn a few times in a
    hundred, bytes, other control tokens and ids without a token never. As an input the
    size of a row hardly matters, the first norm undoes it.
    """
    sizes = torch.full((vocab_size,), 0.01)
    for piece, index in tokenizer.get_vocab(with_added_tokens=False).items():
        if piece in _WORDS or piece in {".", ",", "?"}:
            sizes[index] = 0.15
    sizes[END.id_in(vocab_size)] = 0.18
    return sizes


def _lora_sizes(config: ModelConfig) -> dict[Mode, LoraConfig]:
    if config.vision_lora is None or config.speech_lora is None:
        return {}
    return {"vision": config.vision_lora, "speech": config.speech_lora}


def _write_weights(
    directory: Path,
    config: ModelConfig,
    base: dict[str, Tensor],
    loras: dict[Mode, dict[str, Tensor]],
) -> None:
    last = f"model.layers.{config.num_layers - 1}.mlp.gate_up_proj"
    if config.layout == "text":
        _write_tensors(directory / SINGLE, base)
        return
    if config.layout == "native":
        _write_shards(directory, base, [f"{last}.weight"])
    else:
        # The published shards are cut at 5 GB: within the pair of one matrix, and again
        # between two matrices of a block.
        first_cut = "model.layers.0.mlp.gate_up_proj.lora_B.speech.weight"
        flat = _original_order(base, loras)
        _write_shards(directory, flat, [first_cut, f"{last}.base_layer.weight"])
    prefix = "base_model.model." if config.layout == "original" else ""
    for mode, size in _lora_sizes(config).items():
        folder = directory / f"{mode}-lora"
        folder.mkdir()
        _write_json(folder / "adapter_config.json", adapter_config(size))
        factors = {prefix + name: tensor for name, tensor in loras[mode].items()}
        _write_tensors(folder / "adapter_model.safetensors", factors)


def _original_order(
    base: dict[str, Tensor], loras: dict[Mode, dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return original names, each base matrix followed by its LoRA factors."""
    flat: dict[str, Tensor] = {}
    for name, tensor in base.items():
        flat[tensor_names.original_name(name)] = tensor
        stem = name.removesuffix(".weight")
        for factor in "AB":
            for mode in MODES:
                lora_name = f"{stem}.lora_{factor}.weight"
                if lora_name in loras[mode]:
                    spelled = tensor_names.original_name(f"{lora_name}@{mode}")
                    flat[spelled] = loras[mode][lora_name]
    return flat


def _write_shards(directory: Path, tensors: dict[str, Tensor], cuts: list[str]) -> None:
    """Write tensors in order, starting a new file at each name of ``cuts``."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        if name in cuts:
            shards.append({})
        shards[-1][name] = tensor
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_tensors(directory / file, shard)
        weight_map |= dict.fromkeys(shard, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    _write_json(directory / INDEX, index)


def _write_tensors(file: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, file, metadata={"format": "pt"})
    file.chmod(0o644)  # safetensors 0.8 leaves it readable by its owner only


def _write_json(file: Path, values: object) -> None:
    file.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")
