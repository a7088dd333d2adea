"""The same parts in transformers, with random weights that let every term matter."""

import math
import re
from typing import Any

import torch
from torch import nn

from assistant.model.config import AudioConfig, VisionConfig


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Give every tensor values of a size at which no layer dies or dominates."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("global_mean"):
                tensor.copy_(12 + noise)
            elif name.endswith("global_invstd"):
                tensor.copy_(0.25 + 0.02 * noise)
            elif re.search(r"norm\w*\.weight$", name):
                tensor.copy_(1 + 0.1 * noise)
            elif "bias_values" in name or "extensor" in name or "position" in name:
                tensor.copy_(0.5 * noise)
            elif tensor.dim() > 1:
                tensor.copy_(noise * 1.5 / math.sqrt(tensor[0].numel()))
            else:
                tensor.copy_(0.1 * noise)


def _config(vision: VisionConfig | None, audio: AudioConfig | None, out_size: int) -> Any:
    from transformers import Phi4MultimodalConfig

    parts: dict[str, Any] = {}
    if vision is not None:
        parts["vision_config"] = {
            "hidden_size": vision.hidden_size,
            "intermediate_size": vision.intermediate_size,
            "num_hidden_layers": vision.num_used_layers + 1,
            "num_attention_heads": vision.num_heads,
            "image_size": vision.image_size,
            "crop_size": vision.image_size,
            "patch_size": vision.patch_size,
            "layer_norm_eps": vision.layer_norm_eps,
        }
    if audio is not None:
        parts["audio_config"] = {
            "hidden_size": audio.hidden_size,
            "intermediate_size": audio.intermediate_size,
            "num_blocks": audio.num_blocks,
            "num_attention_heads": audio.num_heads,
            "input_size": audio.num_mels,
            "nemo_conv_channels": audio.conv_channels,
            "ext_pw_out_channel": audio.hidden_size,
            "depthwise_separable_out_channel": audio.depthwise_channels,
            "kernel_size": audio.kernel_size,
            "time_reduction": audio.time_reduction,
            "bias_max_distance": audio.bias_max_distance,
        }
    config: Any = Phi4MultimodalConfig(
        hidden_size=out_size,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        **parts,
    )
    # Other backends run the vision tower causally when no patch is filling
    # (transformers 5.23; its attention says is_causal although it is not).
    for part in (config, config.vision_config, config.audio_config):
        part._attn_implementation = "eager"
    return config


class ReferenceImageEncoder:
    """transformers' vision tower and projector in eager attention."""

    def __init__(self, vision: VisionConfig, out_size: int) -> None:
        from transformers.models.phi4_multimodal import modeling_phi4_multimodal as phi4

        self.config = _config(vision, None, out_size)
        self.module = phi4.Phi4MultimodalImageEmbedding(self.config).eval()
        randomise(self.module)

    def used_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights without those that never influence the output."""
        last = self.config.vision_config.num_hidden_layers - 1
        unused = re.compile(
            rf"img_processor\.(post_layernorm|head|encoder\.layers\.{last})\."
        )
        weights = self.module.state_dict()
        return {name: weight for name, weight in weights.items() if not unused.match(name)}

    @torch.inference_mode()
    def __call__(
        self,
        crops: torch.Tensor,
        masks: torch.Tensor,
        grid: tuple[int, int],
        num_tokens: int,
    ) -> torch.Tensor:
        """Embed the crops and masks of one image: [num_tokens, out_size]."""
        size = self.config.vision_config.crop_size
        ids = torch.full((1, num_tokens), self.config.vision_config.image_token_id)
        slots = torch.zeros(1, num_tokens, self.config.hidden_size)
        sizes = torch.tensor([[grid[0] * size, grid[1] * size]])
        embedded: torch.Tensor = self.module(ids, slots, crops[None], sizes, masks[None])
        return embedded[0]


class ReferenceAudioEncoder:
    """transformers' Conformer and projectors in eager attention."""

    def __init__(self, audio: AudioConfig, out_size: int) -> None:
        from transformers.models.phi4_multimodal import modeling_phi4_multimodal as phi4

        self.config = _config(None, audio, out_size)
        self.module = phi4.Phi4MultimodalAudioEmbedding(self.config).eval()
        randomise(self.module)

    @torch.inference_mode()
    def __call__(self, features: torch.Tensor, projector: str) -> torch.Tensor:
        """Embed the log-mel features [n, 80] of one recording: [ceil(n / 8), out_size]."""
        num_tokens = -(-len(features) // self.config.audio_config.time_reduction)
        ids = torch.full((1, num_tokens), self.config.audio_config.audio_token_id)
        slots = torch.zeros(1, num_tokens, self.config.hidden_size)
        embedded: torch.Tensor = self.module(
            ids,
            slots,
            features[None],
            torch.tensor([num_tokens]),
            audio_projection_mode=projector,
        )
        return embedded[0]
