"""
The JSON files of a model folder, for checkpoints that this package writes.

The inverse of ``parse_config`` in the spelling of the published files, old key names and
misspellings included. Knows no tensor.
"""

from assistant.model.config import (
    RANDOM_WEIGHTS_KEY,
    TINY_TOWER_KEY,
    AudioConfig,
    LoraConfig,
    ModelConfig,
    VisionConfig,
)
from assistant.model.tensor_names import Mode
from assistant.model.tokenizer_trainer import END, END_OF_TEXT, special_tokens

Json = dict[str, object]


def json_files(config: ModelConfig) -> dict[str, Json]:
    """Return what stands in a folder of this layout, by file name."""
    end_of_text = END_OF_TEXT.id_in(config.vocab_size)
    files: dict[str, Json] = {
        "config.json": _config(config),
        "generation_config.json": {
            "bos_token_id": end_of_text,
            "eos_token_id": [END.id_in(config.vocab_size), end_of_text],
            "pad_token_id": end_of_text,
            "use_cache": True,
        },
        "tokenizer_config.json": _tokenizer_config(config),
        "special_tokens_map.json": dict.fromkeys(
            ("bos_token", "eos_token", "pad_token", "unk_token"), END_OF_TEXT.content
        ),
    }
    if config.layout == "native":
        files["preprocessor_config.json"] = _native_preprocessor(config)
        files["processor_config.json"] = {"processor_class": "Phi4MultimodalProcessor"}
    elif config.layout == "original":
        files["preprocessor_config.json"] = _original_preprocessor()
        files["processor_config.json"] = {"processor_class": "Phi4MMProcessor"}
    return files


def adapter_config(lora: LoraConfig) -> Json:
    """Return ``adapter_config.json`` of a stock adapter."""
    return {
        "base_model_name_or_path": "",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": lora.rank,
        "target_modules": (
            r"model.layers.\d+.((self_attn.(qkv|o)_proj)|(mlp.(gate_up|down)_proj))"
        ),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }


def _config(config: ModelConfig) -> Json:
    out = _language_model(config)
    if config.has_random_weights:
        out[RANDOM_WEIGHTS_KEY] = True
    if config.layout == "text":
        return out | {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"]}
    assert config.vision is not None
    assert config.audio is not None
    if config.layout == "native":
        return out | {
            "model_type": "phi4_multimodal",
            "architectures": ["Phi4MultimodalForCausalLM"],
            "vision_config": _native_vision(config, config.vision),
            "audio_config": _native_audio(config, config.audio),
        }
    assert config.vision_lora is not None
    assert config.speech_lora is not None
    return out | {
        "model_type": "phi4mm",
        "architectures": ["Phi4MMForCausalLM"],
        "audio_processor": {"name": "cascades", "config": _original_audio(config.audio)},
        "img_processor": None,
        TINY_TOWER_KEY: _tower(config.vision),
        "embd_layer": _original_embedding(config.vision),
        "vision_lora": _original_lora(config.vision_lora, "vision"),
        "speech_lora": _original_lora(config.speech_lora, "speech"),
    }


def _language_model(config: ModelConfig) -> Json:
    rope = config.rope
    end_of_text = END_OF_TEXT.id_in(config.vocab_size)
    # The original config.json names <|endoftext|> alone; see generation_config.json.
    eos = list(config.stop_ids) if config.layout == "native" else end_of_text
    return {
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": end_of_text,
        "eos_token_id": eos,
        "pad_token_id": end_of_text,
        "embd_pdrop": 0.0,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": rope.max_positions,
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "num_key_value_heads": config.num_kv_heads,
        "original_max_position_embeddings": rope.original_max_positions,
        "partial_rotary_factor": rope.rotary_dims / config.head_dim,
        "resid_pdrop": 0.0,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": {
            "long_factor": list(rope.long_factor),
            "short_factor": list(rope.short_factor),
            "type": "longrope",
        },
        "rope_theta": rope.theta,
        "sliding_window": 2 * rope.max_positions,
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }


def _tower(vision: VisionConfig) -> Json:
    return {
        "hidden_size": vision.hidden_size,
        "image_size": vision.image_size,
        "intermediate_size": vision.intermediate_size,
        "layer_norm_eps": vision.layer_norm_eps,
        "num_attention_heads": vision.num_heads,
        "num_hidden_layers": vision.num_used_layers + 1,
        "patch_size": vision.patch_size,
    }


def _native_vision(config: ModelConfig, vision: VisionConfig) -> Json:
    return _tower(vision) | {
        "model_type": "phi4_multimodal_vision",
        "crop_size": vision.image_size,
        "feature_layer": -2,
        "hidden_act": "gelu_pytorch_tanh",
        "image_token_id": special_tokens("native")[1].id_in(config.vocab_size),
        "num_channels": 3,
    }


def _native_audio(config: ModelConfig, audio: AudioConfig) -> Json:
    return {
        "model_type": "phi4_multimodal_audio",
        "audio_token_id": special_tokens("native")[2].id_in(config.vocab_size),
        "bias_max_distance": audio.bias_max_distance,
        "bias_symmetric": False,
        "chunk_size": -1,
        "depthwise_separable_out_channel": audio.depthwise_channels,
        "depthwise_seperable_out_channel": audio.depthwise_channels,
        "ext_pw_out_channel": audio.hidden_size,
        "feature_layer": -2,
        "hidden_size": audio.hidden_size,
        "input_size": audio.num_mels,
        "intermediate_size": audio.intermediate_size,
        "kernel_size": audio.kernel_size,
        "left_chunk": 18,
        "nemo_activation": "relu",
        "nemo_conv_channels": audio.conv_channels,
        "nemo_final_size": audio.num_mels // audio.time_reduction,
        "num_attention_heads": audio.num_heads,
        "num_blocks": audio.num_blocks,
        "time_reduction": audio.time_reduction,
    }


def _original_audio(audio: AudioConfig) -> Json:
    return {
        "activation": "swish",
        "attention_dim": audio.hidden_size,
        "attention_heads": audio.num_heads,
        "bias_in_glu": True,
        "causal": True,
        "chunk_size": -1,
        "conv_activation": "swish",
        "conv_glu_type": "swish",
        "depthwise_multiplier": 1,
        "depthwise_seperable_out_channel": audio.depthwise_channels,
        "encoder_embedding_config": {"input_size": audio.num_mels},
        "ext_pw_kernel_size": 1,
        "ext_pw_out_channel": audio.hidden_size,
        "input_layer": "nemo_conv",
        "input_size": audio.num_mels,
        "kernel_size": audio.kernel_size,
        "left_chunk": 18,
        "linear_units": audio.intermediate_size,
        "nemo_conv_settings": {"conv_channels": audio.conv_channels},
        "num_blocks": audio.num_blocks,
        "relative_attention_bias_args": {
            "t5_bias_max_distance": audio.bias_max_distance,
            "type": "t5",
        },
        "time_reduction": audio.time_reduction,
    }


def _original_embedding(vision: VisionConfig) -> Json:
    return {
        "embedding_cls": "image_audio",
        "audio_embd_layer": {
            "compression_rate": 8,
            "downsample_rate": 1,
            "embedding_cls": "audio",
            "projection_cls": "mlp",
        },
        "image_embd_layer": {
            "crop_size": vision.image_size,
            "embedding_cls": "tune_image",
            "hd_transform_order": "sub_glb",
            "image_token_compression_cls": "avg_pool_2d",
            "projection_cls": "mlp",
            "use_hd_transform": True,
            "with_learnable_separator": True,
        },
    }


def _original_lora(lora: LoraConfig, mode: Mode) -> Json:
    target = r"layers.*((self_attn\.(qkv_proj|o_proj))|(mlp\.(gate_up|down)_proj))"
    return {"r": lora.rank, "lora_alpha": lora.alpha, "dp": 0.0, "layer": target}


def _tokenizer_config(config: ModelConfig) -> Json:
    added: Json = {
        str(token.id_in(config.vocab_size)): {
            "content": token.content,
            "lstrip": False,
            "normalized": False,
            "rstrip": token.takes_space_after,
            "single_word": False,
            "special": token.is_special,
        }
        for token in special_tokens(config.layout)
    }
    name = END_OF_TEXT.content
    out: Json = {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "bos_token": name,
        "clean_up_tokenization_spaces": False,
        "eos_token": name,
        "model_max_length": config.rope.max_positions,
        "pad_token": name,
        "tokenizer_class": "GPT2TokenizerFast",
        "unk_token": name,
    }
    if config.layout == "native":
        image, audio = special_tokens("native")[1:3]
        out["extra_special_tokens"] = {
            "image_token": image.content,
            "audio_token": audio.content,
        }
    return out


_COMMON_PREPROCESSOR: Json = {
    "audio_compression_rate": 8,
    "audio_downsample_rate": 1,
    "audio_feat_stride": 1,
    "dynamic_hd": 36,
}


def _original_preprocessor() -> Json:
    return _COMMON_PREPROCESSOR | {
        "feature_extractor_type": "Phi4MMAudioFeatureExtractor",
        "image_processor_type": "Phi4MMImageProcessor",
        "processor_class": "Phi4MMProcessor",
    }


def _native_preprocessor(config: ModelConfig) -> Json:
    assert config.vision is not None
    side = config.vision.image_size
    return _COMMON_PREPROCESSOR | {
        "feature_extractor_type": "Phi4MultimodalFeatureExtractor",
        "feature_size": 80,
        "hop_length": 160,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "Phi4MultimodalImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "mel_max_frequency": 7690,
        "mel_min_frequency": 0,
        "n_fft": 512,
        "padding_value": 0.0,
        "patch_size": config.vision.patch_size,
        "preemphasis": 0.97,
        "processor_class": "Phi4MultimodalProcessor",
        "resample": 3,
        "sampling_rate": 16_000,
        "size": {"height": side, "width": side},
        "win_length": 400,
    }
