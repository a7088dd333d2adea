"""
The Conformer's parts: subsampling, relative bias, and one block.

Follows ``Phi4MultimodalAudioModel`` of transformers' ``modeling_phi4_multimodal.py`` and
the original ``speech_conformer_encoder.py``. Works on one stretch of speech at a time,
[T, D] without a batch dimension. Parameters are named as in the native checkpoint layout.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention, silu

from assistant.model.config import AudioConfig


class MeanVarianceNorm(nn.Module):
    """Statistics of the training set, stored with the weights."""

    global_mean: Tensor
    global_invstd: Tensor

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        self.register_buffer("global_mean", torch.zeros(num_mels))
        self.register_buffer("global_invstd", torch.ones(num_mels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise [n, num_mels]."""
        return (features - self.global_mean) * self.global_invstd


class Subsampling(nn.Module):
    """Strided convolutions that make one frame of ``time_reduction`` mel frames."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        channels = config.conv_channels
        num_stages = int(math.log2(config.time_reduction))
        layers: list[nn.Module] = [
            nn.Conv2d(1, channels, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
        ]
        for _ in range(num_stages - 1):
            layers += [
                nn.Conv2d(
                    channels, channels, kernel_size=3, stride=2, padding=1, groups=channels
                ),
                nn.Conv2d(channels, channels, kernel_size=1),
                nn.ReLU(),
            ]
        self.conv = nn.Sequential(*layers)
        num_freqs = -(-config.num_mels // config.time_reduction)
        self.out = nn.Linear(channels * num_freqs, config.hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        """Reduce [n, num_mels] to [ceil(n / time_reduction), D]."""
        x = self.conv(features[None, None])  # [1, C, T, F]
        frames: Tensor = self.out(x[0].transpose(0, 1).flatten(1))
        return frames


class RelativeBias(nn.Module):
    """T5's bias without buckets: one value per head and (clipped) distance in frames."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.max_distance = config.bias_max_distance
        self.bias_values = nn.Embedding(2 * config.bias_max_distance, config.num_heads)

    def forward(self, num_frames: int) -> Tensor:
        """Return what attention adds for each pair: [heads, T, T]."""
        index = torch.arange(num_frames, device=self.bias_values.weight.device)
        distance = index[None, :] - index[:, None]
        distance = distance.clamp(-self.max_distance, self.max_distance - 1)
        return self.bias_values.weight.t()[:, distance + self.max_distance]


class FeedForward(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.hidden_size)
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        # The other way round than in the language model, and than the name says.
        up, gate = self.gate_up_proj(self.layer_norm(x)).chunk(2, dim=-1)
        out: Tensor = self.down_proj(up * silu(gate))
        return out


class AudioAttention(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Let every frame of x [T, D] attend to all, with bias [heads, T, T]."""
        q, k, v = (
            project(x).unflatten(1, (self.num_heads, -1)).transpose(0, 1)[None]
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )  # [1, heads, T, D / heads]
        attended = scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        out: Tensor = self.o_proj(attended[0].transpose(0, 1).flatten(1))
        return out


class GatedPointwise(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.ext_pw_conv_1d = nn.Conv1d(size, 2 * size, kernel_size=1)
        self.b1 = nn.Parameter(torch.zeros(1, size, 1))
        self.b2 = nn.Parameter(torch.zeros(1, size, 1))

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.ext_pw_conv_1d(x).chunk(2, dim=1)
        gated: Tensor = (value + self.b1) * silu(gate + self.b2)
        return gated


class DepthwiseSeparable(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.dw_conv = nn.Conv1d(size, size, config.kernel_size, groups=size)
        self.pw_conv = nn.Conv1d(size, config.depthwise_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        # Padded on the left only: no frame hears a later one here.
        padded = pad(x, (self.dw_conv.kernel_size[0] - 1, 0))
        out: Tensor = self.pw_conv(self.dw_conv(padded))
        return out


class Convolution(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.hidden_size)
        self.glu = GatedPointwise(config.hidden_size)
        self.dw_sep_conv_1d = DepthwiseSeparable(config)
        self.ext_pw_conv_1d = nn.Conv1d(
            config.depthwise_channels, config.hidden_size, kernel_size=1
        )

    def forward(self, x: Tensor) -> Tensor:
        channels_first = self.layer_norm(x).t()[None]  # [1, D, T]
        mixed = self.dw_sep_conv_1d(self.glu(channels_first))
        out: Tensor = self.ext_pw_conv_1d(silu(mixed))
        return out[0].t()


class ConformerBlock(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.feed_forward_in = FeedForward(config)
        self.self_attn = AudioAttention(config)
        self.conv = Convolution(config)
        self.feed_forward_out = FeedForward(config)
        self.layer_norm_att = nn.LayerNorm(config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Pass x [T, D] on, with bias [heads, T, T] from RelativeBias."""
        x = x + 0.5 * self.feed_forward_in(x)
        x = x + self.self_attn(self.layer_norm_att(x), bias)
        x = x + self.conv(x)
        x = x + 0.5 * self.feed_forward_out(x)
        out: Tensor = self.layer_norm(x)
        return out
