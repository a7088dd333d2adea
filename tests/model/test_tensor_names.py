import dataclasses
import math

import pytest

from assistant.model.checkpoint_writer import tiny_config
from assistant.model.config import AudioConfig, VisionConfig
from assistant.model.tensor_names import (
    audio_shapes,
    decoder_shapes,
    image_shapes,
    lora_targets,
    native_name,
    original_name,
    unused_shapes,
)

REAL_VISION = VisionConfig(
    hidden_size=1152,
    intermediate_size=4304,
    num_used_layers=26,
    num_heads=16,
    image_size=448,
    patch_size=14,
    layer_norm_eps=1e-6,
)
REAL_AUDIO = AudioConfig(
    hidden_size=1024,
    intermediate_size=1536,
    num_blocks=24,
    num_heads=16,
    num_mels=80,
    conv_channels=1024,
    depthwise_channels=1024,
    kernel_size=3,
    time_reduction=8,
    bias_max_distance=500,
)


@pytest.mark.parametrize(
    ("native", "original"),
    [
        ("model.norm.weight", "model.norm.weight"),
        (
            "model.layers.7.mlp.down_proj.weight",
            "model.layers.7.mlp.down_proj.base_layer.weight",
        ),
        (
            "model.layers.7.mlp.down_proj.lora_B.weight@speech",
            "model.layers.7.mlp.down_proj.lora_B.speech.weight",
        ),
        (
            "model.embed_tokens_extend.audio_embed.encoder.encoders.3.self_attn.o_proj.bias",
            "model.embed_tokens_extend.audio_embed.encoder.encoders.3.self_attn.linear_out.bias",
        ),
        (
            "model.embed_tokens_extend.audio_embed.down_proj_for_vision_speech.weight",
            "model.embed_tokens_extend.audio_embed.audio_projection.vision.2.weight",
        ),
        (
            "model.embed_tokens_extend.image_embed.sub_img_feature_extensor",
            "model.embed_tokens_extend.image_embed.sub_GN",
        ),
    ],
)
def test_the_layouts_spell_a_tensor_differently(native: str, original: str) -> None:
    assert original_name(native) == original
    assert native_name(original) == native


def test_every_name_survives_the_way_to_the_original_layout_and_back() -> None:
    names = [
        *decoder_shapes(tiny_config("native")),
        *image_shapes(REAL_VISION, 3072),
        *unused_shapes(REAL_VISION),
        *audio_shapes(REAL_AUDIO, 3072),
    ]
    spelled = [original_name(name) for name in names]
    assert [native_name(name) for name in spelled] == names
    assert len(set(spelled)) == len(names)


def test_the_names_cover_the_published_files() -> None:
    """1535 native tensors with 4,743,988,192 numbers, 29 of them never read."""
    config = dataclasses.replace(
        tiny_config("native"),
        vocab_size=200_064,
        hidden_size=3072,
        intermediate_size=8192,
        num_layers=32,
        num_heads=24,
        num_kv_heads=8,
        head_dim=128,
    )
    unused = unused_shapes(REAL_VISION)
    shapes = decoder_shapes(config) | unused
    shapes |= image_shapes(REAL_VISION, 3072) | audio_shapes(REAL_AUDIO, 3072)
    assert (len(shapes), len(unused)) == (1535, 29)
    assert sum(map(math.prod, shapes.values())) == 4_743_988_192


def test_an_adapter_may_change_four_matrices_of_every_layer() -> None:
    config = tiny_config("native")
    targets = lora_targets(config)
    assert len(targets) == 4 * config.num_layers
    assert targets["model.layers.0.self_attn.qkv_proj.weight"] == (160, 96)
    assert targets.items() <= decoder_shapes(config).items()
