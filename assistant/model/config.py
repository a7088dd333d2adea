"""
Sizes of a Phi-4-multimodal (or Phi-4-mini) checkpoint, read from its ``config.json``.

Knows both layouts of the real repository (``phi4mm`` and ``phi4_multimodal``) and the
text-only ``phi3`` of Phi-4-mini; knows no tensor. Nothing is defaulted where the real
files state a value: a key that is missing is an error, not a guess.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assistant.errors import CheckpointError
from assistant.model.json_file import Section, read_json

Layout = Literal["original", "native", "text"]
"""``phi4mm`` (branch main), ``phi4_multimodal`` (transformers' own), ``phi3``."""

LAYOUTS: dict[str, Layout] = {
    "phi4mm": "original",
    "phi4_multimodal": "native",
    "phi3": "text",
}

TINY_TOWER_KEY = "tiny_img_processor"
"""
Our own key in an original-layout ``config.json``: the sizes of the image tower.

The real file says ``"img_processor": null`` and its code builds SigLIP so400m; small
checkpoints of that layout need somewhere to say otherwise.
"""

RANDOM_WEIGHTS_KEY = "assistant_random_weights"
"""Our own key in any ``config.json``: the weights are random, replies mean nothing."""

SO400M: dict[str, object] = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 448,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
}


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
    """
    Control tokens, by id (taken from the checkpoint's own files).

    ``image`` and ``audio`` are None for Phi-4-mini, whose vocabulary lacks them.
    """

    end_of_text: int
    image: int | None
    audio: int | None
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
class LoraConfig:
    """Size of one LoRA; ``alpha / rank`` scales its product."""

    rank: int
    alpha: float

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


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
    layout: Layout = "native"
    vision_lora: LoraConfig | None = None
    """Stated here only by the original layout; elsewhere in ``vision-lora/``."""
    speech_lora: LoraConfig | None = None
    has_random_weights: bool = False
    """Replies show that the path works and nothing else."""


def parse_config(directory: Path) -> ModelConfig:
    """
    Read ``config.json`` and the stop tokens of ``generation_config.json``.

    Raises:
        CheckpointError: The folder or a key is missing, or the model is of another kind.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is not a folder")
    config = read_json(directory / "config.json")
    model_type = config.text("model_type")
    layout = LAYOUTS.get(model_type)
    if layout is None:
        supported = ", ".join(LAYOUTS)
        raise CheckpointError(
            f"{config.file}: model_type {model_type!r} is not supported (only {supported})"
        )
    hidden_size = config.integer("hidden_size")
    num_heads = config.integer("num_attention_heads")
    num_kv_heads = config.integer("num_key_value_heads")
    if config.has("head_dim"):
        head_dim = config.integer("head_dim")
    elif hidden_size % num_heads == 0:
        head_dim = hidden_size // num_heads
    else:
        raise config.wrong(
            "hidden_size", f"{hidden_size} is no multiple of {num_heads} heads"
        )
    if num_heads % num_kv_heads:
        raise config.wrong(
            "num_key_value_heads", f"{num_kv_heads} does not divide {num_heads} heads"
        )
    return ModelConfig(
        vocab_size=config.integer("vocab_size"),
        hidden_size=hidden_size,
        intermediate_size=config.integer("intermediate_size"),
        num_layers=config.integer("num_hidden_layers"),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        rms_norm_eps=config.number("rms_norm_eps"),
        tie_word_embeddings=config.flag("tie_word_embeddings"),
        rope=_parse_rope(config, head_dim),
        stop_ids=_parse_stop_ids(config),
        vision=_parse_vision(config, layout),
        audio=_parse_audio(config, layout),
        layout=layout,
        vision_lora=_parse_lora(config, layout, "vision_lora"),
        speech_lora=_parse_lora(config, layout, "speech_lora"),
        has_random_weights=config.values.get(RANDOM_WEIGHTS_KEY) is True,
    )


def _parse_rope(config: Section, head_dim: int) -> RopeConfig:
    # transformers 5 writes one `rope_parameters`; the published files have the older keys.
    scaling = config.section(
        "rope_parameters" if config.has("rope_parameters") else "rope_scaling"
    )
    kind = scaling.text("rope_type" if scaling.has("rope_type") else "type")
    if kind != "longrope":
        raise scaling.wrong("type", f"{kind!r} is not supported (only 'longrope')")

    def holder(key: str) -> Section:
        return scaling if scaling.has(key) else config

    share = holder("partial_rotary_factor").number("partial_rotary_factor")
    rotary_dims = int(head_dim * share)
    return RopeConfig(
        theta=holder("rope_theta").number("rope_theta"),
        rotary_dims=rotary_dims,
        short_factor=scaling.numbers("short_factor", rotary_dims // 2),
        long_factor=scaling.numbers("long_factor", rotary_dims // 2),
        original_max_positions=holder("original_max_position_embeddings").integer(
            "original_max_position_embeddings"
        ),
        max_positions=config.integer("max_position_embeddings"),
    )


def _parse_stop_ids(config: Section) -> tuple[int, ...]:
    """The original ``config.json`` names <|endoftext|> only: generation_config first."""
    file = config.file.with_name("generation_config.json")
    source = read_json(file) if file.exists() else config
    if not source.has("eos_token_id"):
        source = config
    if not source.has("eos_token_id"):
        raise CheckpointError(f"{config.file}: key eos_token_id is missing")
    value = source.values["eos_token_id"]
    ids = value if isinstance(value, list) else [value]
    if not ids or not all(type(token) is int for token in ids):
        raise source.wrong("eos_token_id", "must be an integer or a list of integers")
    return tuple(sorted(ids))


def _parse_vision(config: Section, layout: Layout) -> VisionConfig | None:
    if layout == "text":
        return None
    if layout == "native":
        tower = config.section("vision_config")
    else:
        stated = config.values.get(TINY_TOWER_KEY, {})
        if not isinstance(stated, dict):
            raise config.wrong(TINY_TOWER_KEY, "must be an object")
        tower = Section(config.file, SO400M | stated, f"{TINY_TOWER_KEY}.")
    image_size, patch_size = tower.integer("image_size"), tower.integer("patch_size")
    # Patches are averaged two by two, so a side must hold an even number of them.
    if image_size % (2 * patch_size):
        raise tower.wrong(
            "image_size", f"{image_size} is no multiple of twice the patch ({patch_size})"
        )
    return VisionConfig(
        hidden_size=tower.integer("hidden_size"),
        intermediate_size=tower.integer("intermediate_size"),
        # The features are hidden_states[-2]: the last layer is never read.
        num_used_layers=tower.integer("num_hidden_layers") - 1,
        num_heads=tower.integer("num_attention_heads"),
        image_size=image_size,
        patch_size=patch_size,
        layer_norm_eps=tower.number("layer_norm_eps"),
    )


def _parse_audio(config: Section, layout: Layout) -> AudioConfig | None:
    if layout == "text":
        return None
    if layout == "native":
        audio = config.section("audio_config")
        # The published file misspells the key; transformers reads the right spelling.
        separable = "depthwise_separable_out_channel"
        if not audio.has(separable):
            separable = "depthwise_seperable_out_channel"
        return AudioConfig(
            hidden_size=audio.integer("hidden_size"),
            intermediate_size=audio.integer("intermediate_size"),
            num_blocks=audio.integer("num_blocks"),
            num_heads=audio.integer("num_attention_heads"),
            num_mels=audio.integer("input_size"),
            conv_channels=audio.integer("nemo_conv_channels"),
            depthwise_channels=audio.integer(separable),
            kernel_size=audio.integer("kernel_size"),
            time_reduction=audio.integer("time_reduction"),
            bias_max_distance=audio.integer("bias_max_distance"),
        )
    audio = config.section("audio_processor").section("config")
    return AudioConfig(
        hidden_size=audio.integer("attention_dim"),
        intermediate_size=audio.integer("linear_units"),
        num_blocks=audio.integer("num_blocks"),
        num_heads=audio.integer("attention_heads"),
        num_mels=audio.integer("input_size"),
        conv_channels=audio.section("nemo_conv_settings").integer("conv_channels"),
        depthwise_channels=audio.integer("depthwise_seperable_out_channel"),
        kernel_size=audio.integer("kernel_size"),
        time_reduction=audio.integer("time_reduction"),
        bias_max_distance=audio.section("relative_attention_bias_args").integer(
            "t5_bias_max_distance"
        ),
    )


def _parse_lora(config: Section, layout: Layout, key: str) -> LoraConfig | None:
    if layout != "original":
        return None
    lora = config.section(key)
    return LoraConfig(rank=lora.integer("r"), alpha=lora.number("lora_alpha"))
