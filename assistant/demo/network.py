"""
The demo's sizes, and its modules run on whole batches, which only training needs.

The same parameters as the service's own forward passes use, one sequence at a time; a
test shows that both agree. No padding is needed: the clips of a batch are equally long,
its pictures equally large, and what follows a text is hidden by causality.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention, silu

from assistant.demo import initial
from assistant.demo.adapter import PROJECTORS, Adapter
from assistant.demo.fork import Fork
from assistant.demo.scenes import Float32Array
from assistant.model.audio import AudioEncoder, AudioTower, Projector
from assistant.model.config import (
    AudioConfig,
    LoraConfig,
    ModelConfig,
    RopeConfig,
    VisionConfig,
)
from assistant.model.conformer import (
    AudioAttention,
    ConformerBlock,
    Convolution,
    Subsampling,
)
from assistant.model.decoder import Decoder, RmsNorm
from assistant.model.images import PreparedImage
from assistant.model.linear import Matrix
from assistant.model.tokenizer_trainer import END, END_OF_TEXT
from assistant.model.vision import ImageEncoder, VisionTower

VOCAB_SIZE = 1024
_HEAD_DIM, _NUM_FACTORS = 32, 12


def demo_config() -> ModelConfig:
    """Return the sizes of the demo: 4.4 million parameters."""
    return ModelConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=160,
        intermediate_size=400,
        num_layers=4,
        num_heads=5,
        num_kv_heads=5,
        head_dim=_HEAD_DIM,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope=RopeConfig(
            theta=10_000.0,
            rotary_dims=2 * _NUM_FACTORS,
            short_factor=(1.0,) * _NUM_FACTORS,
            long_factor=tuple(round(48 ** (i / 11), 6) for i in range(_NUM_FACTORS)),
            original_max_positions=4096,
            max_positions=131_072,
        ),
        stop_ids=(END_OF_TEXT.id_in(VOCAB_SIZE), END.id_in(VOCAB_SIZE)),
        vision=VisionConfig(
            hidden_size=128,
            intermediate_size=320,
            num_used_layers=4,
            num_heads=4,
            image_size=168,
            patch_size=14,
            layer_norm_eps=1e-6,
        ),
        audio=AudioConfig(
            hidden_size=160,
            intermediate_size=320,
            num_blocks=4,
            num_heads=4,
            num_mels=80,
            conv_channels=32,
            depthwise_channels=160,
            kernel_size=3,
            time_reduction=8,
            bias_max_distance=500,
        ),
        layout="native",
        vision_lora=LoraConfig(rank=8, alpha=16.0),
        speech_lora=LoraConfig(rank=8, alpha=16.0),
    )


class Network(nn.Module):
    """All parameters of the demo."""

    def __init__(self, config: ModelConfig) -> None:
        """Draw initial weights, torch's defaults but for embeddings and norms."""
        super().__init__()
        assert config.vision is not None
        assert config.audio is not None
        self.decoder = Decoder(config)
        self.image_encoder = ImageEncoder(config.vision, config.hidden_size)
        self.audio_encoder = AudioEncoder(config.audio, config.hidden_size)
        self.adapters = nn.ModuleDict({mode: Adapter(config) for mode in PROJECTORS})
        for module in self.decoder.modules():
            if isinstance(module, Matrix):
                nn.init.kaiming_uniform_(module.weight, a=5**0.5)
        nn.init.normal_(self.decoder.embed_tokens.weight, std=0.08)
        self.decoder.embed_tokens.weight.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, RmsNorm):
                nn.init.ones_(module.weight)
        nn.init.normal_(self.image_encoder.global_img_feature_extensor, std=0.5)
        nn.init.normal_(self.image_encoder.sub_img_feature_extensor, std=0.5)
        tower = self.image_encoder.img_processor
        with torch.no_grad():
            filters = tower.embeddings.patch_embedding.weight
            filters.copy_(initial.filters(*filters.shape[::2]))
            positions = tower.embeddings.position_embedding.weight
            positions.copy_(0.5 * initial.waves(tower.patches, positions.shape[1]))
        ears = self.audio_encoder.encoder
        nn.init.zeros_(ears.relative_attention_bias_layer.bias_values.weight)
        for module in ears.embed.conv:
            if isinstance(module, nn.Conv2d):
                # torch's own choice shrinks what passes by half with every layer.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.xavier_normal_(ears.embed.out.weight, gain=1.5)


def hear(tower: AudioTower, features: Tensor) -> Tensor:
    """Encode recordings of one length [B, n, num_mels]: [B, ceil(n / 8), D]."""
    x = _subsample(tower.embed, tower.encoder_embedding(features))
    bias = tower.relative_attention_bias_layer(x.shape[1])
    for block in tower.encoders:
        assert isinstance(block, ConformerBlock)
        x = x + 0.5 * block.feed_forward_in(x)
        x = x + _attend(block.self_attn, block.layer_norm_att(x), bias)
        x = x + _convolve(block.conv, x)
        x = x + 0.5 * block.feed_forward_out(x)
        x = block.layer_norm(x)
    return x


def project(encoder: AudioEncoder, hidden: Tensor, projector: Projector) -> Tensor:
    """Turn encoded frames [..., D] into embeddings [..., out_size]."""
    return encoder.project(hidden, projector)


def _subsample(stem: Subsampling, features: Tensor) -> Tensor:
    x = stem.conv(features[:, None])  # [B, C, T, F]
    out: Tensor = stem.out(x.transpose(1, 2).flatten(2))
    return out


def _attend(attention: AudioAttention, x: Tensor, bias: Tensor) -> Tensor:
    q, k, v = (
        linear(x).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj)
    )  # [B, heads, T, D / heads]
    attended = scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
    out: Tensor = attention.o_proj(attended.transpose(1, 2).flatten(2))
    return out


def _convolve(convolution: Convolution, x: Tensor) -> Tensor:
    channels_first = convolution.layer_norm(x).transpose(1, 2)
    separable = convolution.dw_sep_conv_1d
    mixed = convolution.glu(channels_first)
    mixed = separable.pw_conv(
        separable.dw_conv(pad(mixed, (separable.dw_conv.kernel_size[0] - 1, 0)))
    )
    out: Tensor = convolution.ext_pw_conv_1d(silu(mixed))
    return out.transpose(1, 2)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of one size, prepared: crops [B, 1 + rows * cols, 3, S, S]."""

    crops: Tensor
    grid: tuple[int, int]
    valid_rows: int
    valid_cols: int
    num_tokens: int


def stack(images: list[PreparedImage]) -> Pictures:
    """Put pictures of one size together."""
    first = images[0]
    crops: list[Float32Array] = [image.crops for image in images]
    return Pictures(
        torch.from_numpy(np.stack(crops)),
        first.grid,
        first.valid_rows,
        first.valid_cols,
        first.num_tokens,
    )


def look_closely(
    tower: VisionTower, pixels: Tensor, row_ids: Tensor, col_ids: Tensor
) -> Tensor:
    """
    Encode small pieces of pictures as if they were all that there is: [B, h, w, D].

    Args:
        tower: The eyes.
        pixels: [B, 3, h * p, w * p].
        row_ids: [h]; which of the learned positions the rows have.
        col_ids: [w].
    """
    embeddings = tower.embeddings
    ids = (row_ids[:, None] * embeddings.patches + col_ids).flatten()
    x = embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
    x = x + embeddings.position_embedding(ids)
    for layer in tower.layers:
        x = layer(x, None, None)
    out: Tensor = x.view(len(pixels), len(row_ids), len(col_ids), -1)
    return out


def look(tower: VisionTower, pixels: Tensor, rows: int, cols: int) -> Tensor:
    """Encode crops whose first rows x cols patches show something: [B, rows, cols, D]."""
    full_rows, full_cols = rows + rows % 2, cols + cols % 2
    size = tower.patch_size
    region = pixels[:, :, : full_rows * size, : full_cols * size]
    valid = None
    if (full_rows, full_cols) != (rows, cols):
        ids = torch.arange(full_rows * full_cols).view(full_rows, full_cols)
        valid = ids[:rows, :cols].flatten()
    x = tower.embeddings(region, rows, cols)
    for layer in tower.layers:
        x = layer(x, valid, None)
    out: Tensor = x.view(len(pixels), full_rows, full_cols, -1)
    return out


def see(encoder: ImageEncoder, pictures: Pictures) -> Tensor:
    """Embed pictures of one size: [B, num_tokens, out_size]."""
    tower, side = encoder.img_processor, encoder.patches
    grid_rows, grid_cols = pictures.grid
    overview = pool(look(tower, pictures.crops[:, 0], side, side))
    strips = []
    for row in range(grid_rows):
        valid_rows = min(pictures.valid_rows - row * side, side)
        crops = []
        for col in range(grid_cols):
            valid_cols = min(pictures.valid_cols - col * side, side)
            pixels = pictures.crops[:, 1 + row * grid_cols + col]
            crops.append(pool(look(tower, pixels, valid_rows, valid_cols)))
        strips.append(torch.cat(crops, dim=2))
    return torch.cat(
        (
            tell(encoder, torch.cat(strips, dim=1)),
            mark(encoder).expand(len(pictures.crops), -1, -1),
            tell(encoder, overview),
        ),
        dim=1,
    )


def tell(encoder: ImageEncoder, pooled: Tensor) -> Tensor:
    """Embed pooled patches [B, h, w, D], each row with its mark: [B, h * (w + 1), H]."""
    separator = encoder.sub_img_feature_extensor[0].expand(*pooled.shape[:2], 1, -1)
    return _projected(encoder, torch.cat([pooled, separator], dim=2).flatten(1, 2))


def mark(encoder: ImageEncoder) -> Tensor:
    """Embed what stands between a picture's crops and its overview: [1, 1, H]."""
    return _projected(encoder, encoder.global_img_feature_extensor)


def _projected(encoder: ImageEncoder, features: Tensor) -> Tensor:
    embedded: Tensor = encoder.img_projection_down(
        gelu(encoder.img_projection_up(features))
    )
    return embedded


def pool(x: Tensor) -> Tensor:
    """Average patches [B, 2h, 2w, D] two by two."""
    batch, rows, cols, size = x.shape
    return x.view(batch, rows // 2, 2, cols // 2, 2, size).mean(dim=(2, 4))


class _Reader(nn.Module):
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, embeds: Tensor, fork: Fork | None) -> Tensor:
        return read(self.decoder, embeds, fork)


def adapter_of(net: Network, mode: Projector) -> Adapter:
    """Return one of the adapters."""
    adapter = net.adapters[mode]
    assert isinstance(adapter, Adapter)
    return adapter


def read_adapted(
    net: Network, embeds: Tensor, mode: Projector, fork: Fork | None = None
) -> Tensor:
    """Read sequences [B, T, H] as ``read``, with the adapter of ``mode`` merged."""
    merged = adapter_of(net, mode).merged(net.decoder)
    weights = {f"decoder.{name}": weight for name, weight in merged.items()}
    out: Tensor = torch.func.functional_call(_Reader(net.decoder), weights, (embeds, fork))
    return out


def read(decoder: Decoder, embeds: Tensor, fork: Fork | None = None) -> Tensor:
    """
    Read sequences [B, T, H] from position 0: hidden states [B, T, H].

    With a ``fork`` each of its endings reads what comes before all of them, and itself.
    """
    batch, length, size = embeds.shape
    in_a_row = torch.arange(length).repeat(batch)
    positions = in_a_row if fork is None else fork.positions.flatten()
    cos, sin = (table[positions] for table in decoder.rope.for_span(0, length, embeds))
    hidden = embeds.reshape(batch * length, size)
    for block in decoder.blocks:
        q, k, v = (
            x.view(batch, length, *x.shape[1:]).transpose(1, 2)
            for x in block.self_attn.project(block.input_layernorm(hidden), cos, sin)
        )
        attended = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if fork is None else fork.mask,
            is_causal=fork is None,
            enable_gqa=True,
        )
        hidden = block.finish(hidden, attended.transpose(1, 2).reshape(batch * length, -1))
    out: Tensor = decoder.norm(hidden)
    return out.view(batch, length, size)
