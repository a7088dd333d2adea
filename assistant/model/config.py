"""
Sizes of a Phi-4-multimodal (or Phi-4-mini) checkpoint, read from its ``config.json``.

Knows both layouts of the real repository (``phi4mm`` and ``phi4_multimodal``) and the
text-only ``phi3`` of Phi-4-mini; knows no tensor.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeConfig:
    """LongRoPE. Factor lists have one value per pair of rotary dimensions."""

    theta: float
    rotary_dims: int
    """Leading dimensions of each head that rotate; the rest pass through."""
    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    original_max_positions: int
    max_positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """The SigLIP tower; ``num_used_layers`` is one less than it has."""

    hidden_size: int
    intermediate_size: int
    num_used_layers: int
    num_heads: int
    image_size: int
    patch_size: int
    layer_norm_eps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """The Conformer."""

    hidden_size: int
    intermediate_size: int
    num_blocks: int
    num_heads: int
    num_mels: int
    conv_channels: int
    depthwise_channels: int
    kernel_size: int
    time_reduction: int
    bias_max_distance: int
    window_frames: int = 500
    """Subsampled frames that attend to each other; longer clips are cut (40 s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIds:
    """Control tokens, by id (taken from the checkpoint's own files)."""

    end_of_text: int
    image: int
    audio: int
    assistant: int
    end: int
    user: int
    system: int
    tool: int
    tool_end: int
    tool_call: int
    tool_call_end: int
    tool_response: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One checkpoint. ``vision`` and ``audio`` are None for Phi-4-mini."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    tie_word_embeddings: bool
    rope: RopeConfig
    stop_ids: tuple[int, ...]
    vision: VisionConfig | None
    audio: AudioConfig | None
