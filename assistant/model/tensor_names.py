"""
Which tensors a checkpoint has: names, shapes, and how the two layouts spell them.

Native names (transformers' ``phi4_multimodal``) are used everywhere in this package; the
original layout's are translated when a file is read or written. Knows no file.

Sources: the state dict of Microsoft's ``modeling_phi4mm.py`` and transformers'
``convert_phi4_multimodal_weights_to_hf.py``.
"""

import re
from typing import Literal

from assistant.model.config import AudioConfig, ModelConfig, VisionConfig

IMAGE_PREFIX = "model.embed_tokens_extend.image_embed."
AUDIO_PREFIX = "model.embed_tokens_extend.audio_embed."
EMBEDDING = "model.embed_tokens.weight"
LM_HEAD = "lm_head.weight"

Shape = tuple[int, ...]
Mode = Literal["vision", "speech"]
MODES: tuple[Mode, ...] = ("vision", "speech")

LORA_TARGETS = (
    "self_attn.qkv_proj",
    "self_attn.o_proj",
    "mlp.gate_up_proj",
    "mlp.down_proj",
)

_RENAMED_AUDIO = {
    "feed_forward_in.gate_up_proj": "feed_forward_in.net.0.linear",
    "feed_forward_in.down_proj": "feed_forward_in.net.2",
    "feed_forward_out.gate_up_proj": "feed_forward_out.net.0.linear",
    "feed_forward_out.down_proj": "feed_forward_out.net.2",
    "self_attn.q_proj": "self_attn.linear_q",
    "self_attn.k_proj": "self_attn.linear_k",
    "self_attn.v_proj": "self_attn.linear_v",
    "self_attn.o_proj": "self_attn.linear_out",
    "up_proj_for_speech": "audio_projection.speech.0",
    "down_proj_for_speech": "audio_projection.speech.2",
    "up_proj_for_vision_speech": "audio_projection.vision.0",
    "down_proj_for_vision_speech": "audio_projection.vision.2",
}
_RENAMED_IMAGE = {
    "img_projection_up": "img_projection.0",
    "img_projection_down": "img_projection.2",
    "global_img_feature_extensor": "glb_GN",
    "sub_img_feature_extensor": "sub_GN",
}
_TARGET = re.compile(
    r"(model\.layers\.\d+\.(?:" + "|".join(map(re.escape, LORA_TARGETS)) + r"))\.weight"
)
_ORIGINAL_LORA = re.compile(
    r"(model\.layers\.\d+\..+)\.(base_layer|lora_([AB])\.(vision|speech))\.weight"
)


def native_name(original: str) -> str:
    """
    Return the native spelling of an original-layout name.

    A LoRA factor keeps its mode at the end (``….lora_A.weight@speech``): in the native
    layout it would live in another file.
    """
    if match := _ORIGINAL_LORA.fullmatch(original):
        target, what, factor, mode = match.groups()
        if what == "base_layer":
            return f"{target}.weight"
        return f"{target}.lora_{factor}.weight@{mode}"
    return _replaced(original, reverse=True)


def original_name(native: str) -> str:
    """Return the original layout's spelling; the inverse of ``native_name``."""
    base, _, mode = native.partition("@")
    if mode:
        return f"{base.removesuffix('.weight')}.{mode}.weight"
    if match := _TARGET.fullmatch(native):
        return f"{match[1]}.base_layer.weight"
    return _replaced(native, reverse=False)


def _replaced(name: str, *, reverse: bool) -> str:
    """Replace whole dotted components of an encoder's name."""
    if name.startswith(AUDIO_PREFIX):
        table = _RENAMED_AUDIO
    elif name.startswith(IMAGE_PREFIX):
        table = _RENAMED_IMAGE
    else:
        return name
    dotted = f"{name}."
    for native, original in table.items():
        old, new = (original, native) if reverse else (native, original)
        dotted = dotted.replace(f".{old}.", f".{new}.")
    return dotted[:-1]


def lora_targets(config: ModelConfig) -> dict[str, Shape]:
    """Return the matrices a LoRA may change: native name to shape [out, in]."""
    hidden, inner = config.hidden_size, config.intermediate_size
    heads = config.num_heads * config.head_dim
    qkv = heads + 2 * config.num_kv_heads * config.head_dim
    shapes = {
        "self_attn.qkv_proj": (qkv, hidden),
        "self_attn.o_proj": (hidden, heads),
        "mlp.gate_up_proj": (2 * inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    return {
        f"model.layers.{layer}.{name}.weight": shape
        for layer in range(config.num_layers)
        for name, shape in shapes.items()
    }


def decoder_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Return the language model's tensors, in the order of the published files."""
    shapes: dict[str, Shape] = {EMBEDDING: (config.vocab_size, config.hidden_size)}
    targets = lora_targets(config)
    for layer in range(config.num_layers):
        prefix = f"model.layers.{layer}."
        for name in LORA_TARGETS:
            shapes[f"{prefix}{name}.weight"] = targets[f"{prefix}{name}.weight"]
        shapes[f"{prefix}input_layernorm.weight"] = (config.hidden_size,)
        shapes[f"{prefix}post_attention_layernorm.weight"] = (config.hidden_size,)
    shapes["model.norm.weight"] = (config.hidden_size,)
    if not config.tie_word_embeddings:
        shapes[LM_HEAD] = (config.vocab_size, config.hidden_size)
    return shapes


def image_shapes(vision: VisionConfig, out_size: int) -> dict[str, Shape]:
    """Return the tensors of the image tower and its projector that are used."""
    width = vision.hidden_size
    shapes: dict[str, Shape] = {
        "global_img_feature_extensor": (1, 1, width),
        "sub_img_feature_extensor": (1, 1, 1, width),
        "img_processor.embeddings.patch_embedding.weight": (
            width, 3, vision.patch_size, vision.patch_size,
        ),
        "img_processor.embeddings.patch_embedding.bias": (width,),
        "img_processor.embeddings.position_embedding.weight": (
            (vision.image_size // vision.patch_size) ** 2, width,
        ),
    }  # fmt: skip
    for layer in range(vision.num_used_layers):
        shapes |= _tower_layer(vision, layer)
    shapes |= _linear("img_projection_up", width, out_size)
    shapes |= _linear("img_projection_down", out_size, out_size)
    return {IMAGE_PREFIX + name: shape for name, shape in shapes.items()}


def unused_shapes(vision: VisionConfig) -> dict[str, Shape]:
    """Return what the files hold and no output depends on: last layer, norm, head."""
    width, inner = vision.hidden_size, vision.intermediate_size
    head = "img_processor.head."
    shapes = _tower_layer(vision, vision.num_used_layers)
    shapes |= _norm("img_processor.post_layernorm", width)
    shapes[f"{head}probe"] = (1, 1, width)
    shapes[f"{head}attention.in_proj_weight"] = (3 * width, width)
    shapes[f"{head}attention.in_proj_bias"] = (3 * width,)
    shapes |= _linear(f"{head}attention.out_proj", width, width)
    shapes |= _norm(f"{head}layernorm", width)
    shapes |= _linear(f"{head}mlp.fc1", width, inner)
    shapes |= _linear(f"{head}mlp.fc2", inner, width)
    return {IMAGE_PREFIX + name: shape for name, shape in shapes.items()}


def _tower_layer(vision: VisionConfig, layer: int) -> dict[str, Shape]:
    width, inner = vision.hidden_size, vision.intermediate_size
    prefix = f"img_processor.encoder.layers.{layer}."
    shapes = _norm(f"{prefix}layer_norm1", width) | _norm(f"{prefix}layer_norm2", width)
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= _linear(f"{prefix}self_attn.{name}", width, width)
    shapes |= _linear(f"{prefix}mlp.fc1", width, inner)
    shapes |= _linear(f"{prefix}mlp.fc2", inner, width)
    return shapes


def audio_shapes(audio: AudioConfig, out_size: int) -> dict[str, Shape]:
    """Return the tensors of the Conformer and its two projectors."""
    width, channels = audio.hidden_size, audio.conv_channels
    shapes: dict[str, Shape] = {
        "encoder.encoder_embedding.global_mean": (audio.num_mels,),
        "encoder.encoder_embedding.global_invstd": (audio.num_mels,),
        "encoder.relative_attention_bias_layer.bias_values.weight": (
            2 * audio.bias_max_distance, audio.num_heads,
        ),
    }  # fmt: skip
    shapes |= _conv("encoder.embed.conv.0", channels, 1, 3, 3)
    num_mels = -(-audio.num_mels // 2)
    # Each further halving is a depthwise and a pointwise convolution and a ReLU.
    for stage in range(1, audio.time_reduction.bit_length() - 1):
        shapes |= _conv(f"encoder.embed.conv.{3 * stage - 1}", channels, 1, 3, 3)
        shapes |= _conv(f"encoder.embed.conv.{3 * stage}", channels, channels, 1, 1)
        num_mels = -(-num_mels // 2)
    shapes |= _linear("encoder.embed.out", channels * num_mels, width)
    for block in range(audio.num_blocks):
        shapes |= _conformer_block(audio, f"encoder.encoders.{block}.")
    for projector in ("speech", "vision_speech"):
        shapes |= _linear(f"up_proj_for_{projector}", width, out_size)
        shapes |= _linear(f"down_proj_for_{projector}", out_size, out_size)
    return {AUDIO_PREFIX + name: shape for name, shape in shapes.items()}


def _conformer_block(audio: AudioConfig, prefix: str) -> dict[str, Shape]:
    width, inner = audio.hidden_size, audio.intermediate_size
    separable = audio.depthwise_channels
    shapes: dict[str, Shape] = {}
    for name in ("feed_forward_in", "feed_forward_out"):
        shapes |= _norm(f"{prefix}{name}.layer_norm", width)
        shapes |= _linear(f"{prefix}{name}.gate_up_proj", width, 2 * inner)
        shapes |= _linear(f"{prefix}{name}.down_proj", inner, width)
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        shapes |= _linear(f"{prefix}self_attn.{name}", width, width)
    conv = f"{prefix}conv."
    shapes |= _norm(f"{conv}layer_norm", width)
    shapes |= _conv(f"{conv}glu.ext_pw_conv_1d", 2 * width, width, 1)
    shapes[f"{conv}glu.b1"] = shapes[f"{conv}glu.b2"] = (1, width, 1)
    depthwise = f"{conv}dw_sep_conv_1d."
    shapes |= _conv(f"{depthwise}dw_conv", width, 1, audio.kernel_size)
    shapes |= _conv(f"{depthwise}pw_conv", separable, width, 1)
    shapes |= _conv(f"{conv}ext_pw_conv_1d", width, separable, 1)
    shapes |= _norm(f"{prefix}layer_norm_att", width)
    shapes |= _norm(f"{prefix}layer_norm", width)
    return shapes


def _linear(name: str, num_in: int, num_out: int) -> dict[str, Shape]:
    return {f"{name}.weight": (num_out, num_in), f"{name}.bias": (num_out,)}


def _conv(name: str, num_out: int, *rest: int) -> dict[str, Shape]:
    return {f"{name}.weight": (num_out, *rest), f"{name}.bias": (num_out,)}


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
