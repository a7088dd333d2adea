"""
The eyes: a SigLIP tower over crops, pooling, separators and the projector.

Follows ``Phi4MultimodalImageEmbedding`` of transformers' ``modeling_phi4_multimodal.py``
(bidirectional attention, as in the original model). Knows one picture at a time and
nothing of prompts. Parameters are named as in the native checkpoint layout.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from assistant.errors import CheckpointError
from assistant.model.config import VisionConfig
from assistant.model.images import PreparedImage


class PatchEmbeddings(nn.Module):
    """Pixels to patch vectors, with learned positions stretched over the valid patches."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.patches = config.image_size // config.patch_size
        self.patch_embedding = nn.Conv2d(
            3, config.hidden_size, config.patch_size, stride=config.patch_size
        )
        self.position_embedding = nn.Embedding(self.patches**2, config.hidden_size)

    def forward(self, pixels: Tensor, valid_rows: int, valid_cols: int) -> Tensor:
        """
        Embed crops [B, 3, H, W] of which the top left valid patches show something.

        Returns [B, H/p * W/p, D]. Filling has position 0.
        """
        x: Tensor = self.patch_embedding(pixels)  # [B, D, h, w]
        rows, cols = x.shape[2:]
        row = torch.arange(rows, device=x.device)
        col = torch.arange(cols, device=x.device)
        ids = (row * self.patches // valid_rows * self.patches)[:, None]
        ids = ids + col * self.patches // valid_cols
        is_valid = (row < valid_rows)[:, None] & (col < valid_cols)
        ids = torch.where(is_valid, ids, 0).flatten()
        positions: Tensor = self.position_embedding(ids)
        return x.flatten(2).transpose(1, 2) + positions


class VisionAttention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Let x [B, T, D] attend to keys [B, K, D], unless mask [1, K] is False."""
        q, k, v = (
            projected.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for projected in (self.q_proj(x), self.k_proj(keys), self.v_proj(keys))
        )  # [B, heads, T or K, D / heads]
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class VisionMLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(gelu(self.fc1(x), approximate="tanh"))
        return out


class VisionLayer(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = VisionAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = VisionMLP(config)

    def forward(self, x: Tensor, valid: Tensor | None, mask: Tensor | None) -> Tensor:
        """Pass x [B, T, D] on; filling is kept from being attended to by either means."""
        normed = self.layer_norm1(x)
        keys = normed if valid is None else normed[:, valid]
        x = x + self.self_attn(normed, keys, mask)
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


@dataclass(frozen=True, slots=True)
class Patches:
    """Crops on their way through the tower."""

    x: Tensor
    """[B, rows * cols, D]."""
    rows: int
    cols: int
    valid: Tensor | None
    """Those that may be looked at; None for all."""
    num_layers: int = 0
    """How many layers they have passed."""


class VisionTower(nn.Module):
    """The part of SigLIP that is used: no last layer, no final norm, no pooling head."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.patches = config.image_size // config.patch_size
        self.embeddings = PatchEmbeddings(config)
        self.encoder = nn.ModuleDict(
            {
                "layers": nn.ModuleList(
                    VisionLayer(config) for _ in range(config.num_used_layers)
                )
            }
        )

    def forward(self, pixels: Tensor, valid_rows: int, valid_cols: int) -> Tensor:
        """
        Encode crops [B, 3, S, S] whose top left ``valid`` patches show something.

        Returns [B, ceil(valid_rows / 2), ceil(valid_cols / 2), D], pooled 2 x 2.
        """
        patches = self.begin(pixels, valid_rows, valid_cols)
        while patches.num_layers < len(self.layers):
            patches = self.advance(patches)
        return self.finish(patches)

    def begin(self, pixels: Tensor, valid_rows: int, valid_cols: int) -> Patches:
        """Embed crops, see ``forward``."""
        # An odd last row is pooled with the row of filling after it: filling that
        # is looked from, but never at. Filling beyond it leaves no trace.
        rows, cols = valid_rows + valid_rows % 2, valid_cols + valid_cols % 2
        region = pixels[:, :, : rows * self.patch_size, : cols * self.patch_size]
        valid = None
        if (rows, cols) != (valid_rows, valid_cols):
            ids = torch.arange(rows * cols, device=pixels.device).view(rows, cols)
            valid = ids[:valid_rows, :valid_cols].flatten()
        return Patches(self.embeddings(region, valid_rows, valid_cols), rows, cols, valid)

    def advance(self, patches: Patches) -> Patches:
        """Return them one layer further."""
        x = self.layers[patches.num_layers](patches.x, patches.valid, None)
        return replace(patches, x=x, num_layers=patches.num_layers + 1)

    def finish(self, patches: Patches) -> Tensor:
        """Pool what has passed all layers, see ``forward``."""
        assert patches.num_layers == len(self.layers)
        return _pool(patches.x.view(len(patches.x), patches.rows, patches.cols, -1))

    def forward_plain(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """
        Encode one crop [1, 3, S, S] whole, hiding what is filling in mask [P, P].

        Returns [1, P / 2, P / 2, D], pooled 2 x 2.
        """
        valid_rows, valid_cols = int(mask[:, 0].sum()), int(mask[0].sum())
        x = self.embeddings(pixels, valid_rows, valid_cols)
        for layer in self.layers:
            x = layer(x, None, mask.view(1, -1))
        return _pool(x.view(1, *mask.shape, -1))

    @property
    def layers(self) -> nn.ModuleList:
        layers = self.encoder["layers"]
        assert isinstance(layers, nn.ModuleList)
        return layers


def _pool(x: Tensor) -> Tensor:
    """Average patches [B, 2h, 2w, D] two by two."""
    batch, rows, cols, size = x.shape
    return x.view(batch, rows // 2, 2, cols // 2, 2, size).mean(dim=(2, 4))


@dataclass(frozen=True, slots=True)
class CropGroup:
    """Crops of one picture that show equally many patches and are encoded together."""

    rows: int
    """Valid patches from the top."""
    cols: int
    crops: tuple[int, ...]
    """Numbers of the crops: 0 is the global one, the others follow row by row."""


class ImageEncoder(nn.Module):
    """Pictures to embeddings of the language model."""

    def __init__(self, config: VisionConfig, out_size: int) -> None:
        """
        Build an uninitialised encoder for ``out_size`` wide embeddings.

        Raises:
            CheckpointError: Its patches cannot be pooled two by two.
        """
        super().__init__()
        self.patches = config.image_size // config.patch_size
        if self.patches % 2 or config.image_size % config.patch_size:
            raise CheckpointError(
                f"crops of {config.image_size} pixels are not an even number of "
                f"{config.patch_size}-pixel patches wide"
            )
        size = config.hidden_size
        self.img_processor = VisionTower(config)
        self.img_projection_up = nn.Linear(size, out_size)
        self.img_projection_down = nn.Linear(out_size, out_size)
        self.global_img_feature_extensor = nn.Parameter(torch.zeros(1, 1, size))
        self.sub_img_feature_extensor = nn.Parameter(torch.zeros(1, 1, 1, size))

    def forward(self, image: PreparedImage) -> Tensor:
        """
        Embed one picture: [num_tokens, out_size].

        Exact, but does only work that shows: filling is not encoded beyond what pooling
        needs, crops of one shape go together, and a picture that is its own global crop
        is encoded once. ``encode_plain`` is the same without any of this.
        """
        encoded: dict[int, Tensor] = {}
        for group in self.groups(image):
            encoded |= self.encode_group(image, group)
        return self.assemble(image, encoded)

    def groups(self, image: PreparedImage, max_crops: int = 64) -> list[CropGroup]:
        """Return the crops that have to be encoded, up to ``max_crops`` in a group."""
        grid_rows, grid_cols = image.grid
        valid_rows = _per_crop(image.valid_rows, grid_rows, self.patches)
        valid_cols = _per_crop(image.valid_cols, grid_cols, self.patches)
        shapes = [(rows, cols) for rows in valid_rows for cols in valid_cols]
        whole = (self.patches, self.patches)
        # A grid of one crop is the canvas itself, so the global one has its pixels.
        shows_itself = shapes == [whole]

        together: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for crop, shape in enumerate(shapes, start=1):
            together[shape].append(crop)
        if not shows_itself:
            together[whole].append(0)
        return [
            CropGroup(rows, cols, tuple(crops[first : first + max_crops]))
            for (rows, cols), crops in together.items()
            for first in range(0, len(crops), max_crops)
        ]

    def encode_group(self, image: PreparedImage, group: CropGroup) -> dict[int, Tensor]:
        """Encode one group: patches [ceil(rows / 2), ceil(cols / 2), D] by crop."""
        pixels = self._pixels(image, list(group.crops))
        patches = self.img_processor(pixels, group.rows, group.cols)
        return dict(zip(group.crops, patches, strict=True))

    def begin_group(self, image: PreparedImage, group: CropGroup) -> Patches:
        """Begin what ``encode_group`` does at once; the tower advances and finishes it."""
        pixels = self._pixels(image, list(group.crops))
        return self.img_processor.begin(pixels, group.rows, group.cols)

    def assemble(self, image: PreparedImage, encoded: Mapping[int, Tensor]) -> Tensor:
        """Embed a picture whose groups are all encoded: [num_tokens, out_size]."""
        grid_rows, grid_cols = image.grid
        merged = torch.cat(
            [
                torch.cat(
                    [encoded[1 + row * grid_cols + col] for col in range(grid_cols)], 1
                )
                for row in range(grid_rows)
            ]
        )
        # A picture that is its own global crop has no other.
        return self._project(merged, encoded.get(0, encoded[1]))

    def encode_plain(self, image: PreparedImage) -> Tensor:
        """Embed one picture, each crop whole and by itself: [num_tokens, out_size]."""
        grid_rows, grid_cols = image.grid
        encoded = torch.cat(
            [
                self.img_processor.forward_plain(
                    self._pixels(image, [crop]),
                    torch.from_numpy(mask).to(self.img_projection_up.weight.device),
                )
                for crop, mask in enumerate(image.patch_masks)
            ]
        )  # [1 + n, P / 2, P / 2, D]
        tiles = encoded[1:].view(grid_rows, grid_cols, *encoded.shape[1:]).transpose(1, 2)
        merged = tiles.flatten(2, 3).flatten(0, 1)
        rows, cols = -(-image.valid_rows // 2), -(-image.valid_cols // 2)
        return self._project(merged[:rows, :cols], encoded[0])

    def _pixels(self, image: PreparedImage, crops: list[int]) -> Tensor:
        weight = self.img_projection_up.weight
        return torch.from_numpy(image.crops[crops]).to(weight.device, weight.dtype)

    def _project(self, merged: Tensor, overview: Tensor) -> Tensor:
        """Put picture [h, w, D] and global crop in prompt order, and project."""
        features = torch.cat(
            [
                self._with_separators(merged),
                self.global_img_feature_extensor[0],
                self._with_separators(overview),
            ]
        )
        embedded: Tensor = self.img_projection_down(gelu(self.img_projection_up(features)))
        return embedded

    def _with_separators(self, rows: Tensor) -> Tensor:
        """End every row of [h, w, D] with the separator: [h * (w + 1), D]."""
        separator = self.sub_img_feature_extensor[0].expand(rows.shape[0], 1, -1)
        return torch.cat([rows, separator], dim=1).flatten(0, 1)


def _per_crop(valid: int, num_crops: int, patches: int) -> list[int]:
    """Split a count of valid patches along one side over that side's crops."""
    return [min(max(valid - crop * patches, 0), patches) for crop in range(num_crops)]
