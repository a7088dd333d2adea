"""
Checkpoints of random weights in memory, for measurements: no file is read or written.

Speed depends on sizes alone. Each tensor is drawn on the device when it is read, so the
full-size model is there in seconds and in no more memory than it needs.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from assistant.errors import CheckpointError
from assistant.model import tensor_names
from assistant.model.checkpoint_writer import draw_tensor, tiny_config
from assistant.model.config import (
    AudioConfig,
    ModelConfig,
    RopeConfig,
    VisionConfig,
)
from assistant.model.tensor_names import Shape
from assistant.model.tokenizer import Tokenizer
from assistant.model.tokenizer_trainer import END, END_OF_TEXT, train_tokenizer
from assistant.model.weights import Checkpoint

NAMES = ("tiny", "117m", "phi-4-multimodal")


@dataclass(frozen=True, slots=True)
class DrawnTensor:
    """One tensor: its values follow from its name and the seed."""

    name: str
    shape: Shape
    seed: int
    device: str
    dtype: torch.dtype

    def read(self) -> Tensor:
        """Draw the tensor."""
        return draw_tensor(self.name, self.shape, self.seed, self.device).to(self.dtype)


def random_config(name: str) -> ModelConfig:
    """
    Return sizes: ``tiny``, ``117m`` (117 M parameters) or ``phi-4-multimodal`` (5.6 B).

    Raises:
        CheckpointError: There are no sizes of this name.
    """
    match name:
        case "tiny":
            return tiny_config("native", image_size=224)
        case "117m":
            vision, audio = _vision(384, 4, 1536, 6), _audio(256, 4, 384, 4, 256)
            return _config(32_064, 768, 2048, 12, (12, 4, 64), vision, audio)
        case "phi-4-multimodal":
            vision, audio = _vision(1152, 26, 4304, 16), _audio(1024, 24, 1536, 16, 1024)
            return _config(200_064, 3072, 8192, 32, (24, 8, 128), vision, audio)
        case _:
            known = ", ".join(NAMES)
            raise CheckpointError(f"no random model {name!r}; there are {known}")


def random_checkpoint(
    config: ModelConfig, device: str, dtype: torch.dtype, seed: int = 0
) -> Checkpoint:
    """Return a checkpoint without adapters whose tensors are drawn as they are read."""
    shapes = tensor_names.decoder_shapes(config)
    if config.vision is not None:
        shapes |= tensor_names.image_shapes(config.vision, config.hidden_size)
    if config.audio is not None:
        shapes |= tensor_names.audio_shapes(config.audio, config.hidden_size)
    tensors = {
        name: DrawnTensor(name, shape, seed, device, dtype)
        for name, shape in shapes.items()
    }
    return Checkpoint(Path("random"), config, tensors, {})


def random_tokenizer(config: ModelConfig) -> Tokenizer:
    """Return a tokenizer whose ids fit the embedding."""
    trained = train_tokenizer(config.vocab_size, config.layout)
    return Tokenizer.adopt(trained, config.vocab_size, "random tokenizer")


def _vision(width: int, num_layers: int, inner: int, num_heads: int) -> VisionConfig:
    return VisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_used_layers=num_layers,
        num_heads=num_heads,
        image_size=448,
        patch_size=14,
        layer_norm_eps=1e-6,
    )


def _audio(
    width: int, num_blocks: int, inner: int, num_heads: int, channels: int
) -> AudioConfig:
    return AudioConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_blocks=num_blocks,
        num_heads=num_heads,
        num_mels=80,
        conv_channels=channels,
        depthwise_channels=width,
        kernel_size=3,
        time_reduction=8,
        bias_max_distance=500,
    )


def _config(
    vocab_size: int,
    hidden: int,
    inner: int,
    num_layers: int,
    heads: tuple[int, int, int],
    vision: VisionConfig,
    audio: AudioConfig,
) -> ModelConfig:
    num_heads, num_kv_heads, head_dim = heads
    num_factors = head_dim * 3 // 8
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=inner,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope=RopeConfig(
            theta=10_000.0,
            rotary_dims=2 * num_factors,
            short_factor=(1.0,) * num_factors,
            long_factor=(32.0,) * num_factors,
            original_max_positions=4096,
            max_positions=131_072,
        ),
        stop_ids=(END_OF_TEXT.id_in(vocab_size), END.id_in(vocab_size)),
        vision=vision,
        audio=audio,
        layout="native",
        vision_lora=None,
        speech_lora=None,
        has_random_weights=True,
    )
