"""
The engine's backend over transformers' ``Phi4MultimodalForCausalLM``: slow and plain.

An independent second opinion on the native modules, and a way out where they fail. It
shares their loader (so both layouts work), tokenizer and preprocessing; encoders, decoder
and cache are transformers'. What transformers 5.23 gets wrong is avoided: its attention
is eager (the vision tower calls SDPA causally), clips are encoded one by one (it adds a
boolean mask to the bias), the projector is chosen by the adapter (it looks at the call),
and no sequence crosses the 4096 tokens at which its rotary embedding switches.
"""

import dataclasses
import math
from collections.abc import Sequence as Items
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache, Phi4MultimodalConfig, Phi4MultimodalForCausalLM
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import (
    Phi4MultimodalRotaryEmbedding,
)

from assistant.config import EngineConfig
from assistant.engine.native_backend import ReplyText
from assistant.engine.prompt_parts import Clip, Picture, prepare_part
from assistant.engine.sampler import Read
from assistant.engine.sequence import Chunk, Piece, text_chunk
from assistant.engine.vocabulary import Vocabulary
from assistant.errors import CheckpointError
from assistant.model.config_writer import json_files
from assistant.model.detokenizer import Detokenizer
from assistant.model.features import log_mel
from assistant.model.images import prepare_image
from assistant.model.lora import merge
from assistant.model.tensor_names import lora_targets
from assistant.model.tokenizer import Tokenizer
from assistant.model.weights import Checkpoint, read_checkpoint
from assistant.wire import link


class TransformersBackend:
    """One transformers model, the merged matrices of each adapter, a cache per row."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokenizer: Tokenizer,
        config: EngineConfig,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        self.model = config.model
        self.device = device
        self.dtype = str(dtype).removeprefix("torch.")
        self.is_meaningless = checkpoint.config.has_random_weights
        controls = tokenizer.control_ids
        self.stop_ids = frozenset(
            {*checkpoint.config.stop_ids, controls.end, controls.end_of_text}
        )
        self.adapters: frozenset[link.Adapter] = frozenset({"none", *checkpoint.loras})
        self.vocab_size = checkpoint.config.vocab_size
        self.prefill_tokens_per_s = math.inf  # not measured
        self.fallbacks: list[str] = []
        self._model_config = checkpoint.config
        self._tokenizer = tokenizer
        self._config = config
        self._hf = build_model(checkpoint, device, dtype)
        self._matrices = {
            adapter: _merged(checkpoint, adapter, device, dtype)
            for adapter in self.adapters
        }
        self._adapter: link.Adapter | None = None
        self._caches: dict[int, Any] = {}

    @classmethod
    def load(
        cls,
        directory: Path,
        config: EngineConfig,
        device: str,
        dtype: torch.dtype,
        adapters: Path | None = None,
    ) -> Self:
        """
        Load a model folder of either layout.

        Raises:
            CheckpointError: The folder cannot be used, or holds a text-only model.
        """
        checkpoint = read_checkpoint(directory, adapters)
        if checkpoint.config.vision is None or checkpoint.config.audio is None:
            raise CheckpointError(
                f"{directory} is text-only; backend 'transformers' serves Phi-4-multimodal"
            )
        tokenizer = Tokenizer.load(directory, checkpoint.config.vocab_size)
        return cls(checkpoint, tokenizer, config, device, dtype)

    def prepare(self, part: link.Part, adapter: link.Adapter) -> Chunk:
        return prepare_part(part, self._model_config, self._tokenizer, self._config)

    # --- encoders ----------------------------------------------------------------------

    def encode(self, media: object, adapter: link.Adapter) -> Tensor:
        """Return embeddings [N, H] on the device."""
        match media:
            case Picture():
                return self._encode_picture(media)
            case Clip():
                return self._encode_clip(media, adapter)
            case _:
                raise AssertionError(f"not prepared media: {type(media).__name__}")

    def _encode_picture(self, picture: Picture) -> Tensor:
        vision = self._model_config.vision
        assert vision is not None
        prepared = prepare_image(
            picture.rgb, picture.max_crops, vision.image_size, vision.patch_size
        )
        rows, cols = prepared.grid
        crops = torch.from_numpy(prepared.crops).to(self.device)
        masks = torch.from_numpy(prepared.patch_masks).to(self.device)
        embeds: Tensor = self._hf.model.embed_tokens_extend.image_embed(
            *self._places(
                self._hf.config.vision_config.image_token_id, prepared.num_tokens
            ),
            image_pixel_values=crops[None],
            image_sizes=torch.tensor(
                [[rows * vision.image_size, cols * vision.image_size]]
            ),
            image_attention_mask=masks[None],
        )
        return embeds[0]

    def _encode_clip(self, clip: Clip, adapter: link.Adapter) -> Tensor:
        features = torch.from_numpy(log_mel(clip.samples)).to(self.device)  # [n, 80]
        num_before = 0
        if clip.is_continuation:
            # Windows know nothing of each other: any first one does, up to its last token.
            assert self._model_config.audio is not None
            num_before = self._model_config.audio.window_frames
            silence = features.new_zeros(8 * (num_before - 1), features.shape[1])
            features = torch.cat([silence, features])
        num_tokens = -(-len(features) // 8)
        embeds: Tensor = self._hf.model.embed_tokens_extend.audio_embed(
            *self._places(self._hf.config.audio_config.audio_token_id, num_tokens),
            audio_input_features=features[None],
            audio_embed_sizes=[num_tokens],
            audio_projection_mode="vision" if adapter == "vision" else "speech",
        )
        return embeds[0, num_before:]

    def _places(self, placeholder: int, num_tokens: int) -> tuple[Tensor, Tensor]:
        """Return placeholder ids [1, N] and embeddings [1, N, H] to be overwritten."""
        ids = torch.full((1, num_tokens), placeholder, device=self.device)
        size = self._model_config.hidden_size
        return ids, torch.zeros(1, num_tokens, size, device=self.device, dtype=self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = self._hf.dtype
        return dtype

    def offload(self, media: object) -> Tensor:
        assert isinstance(media, Tensor)
        return media.cpu()

    # --- decoder -----------------------------------------------------------------------

    def prefill(
        self,
        adapter: link.Adapter,
        slot: int,
        start: int,
        pieces: Items[Piece],
        *,
        wants_logits: bool,
    ) -> Tensor | None:
        self._use(adapter)
        embeds = torch.cat([self._embed(piece) for piece in pieces])  # [T, H]
        hidden = self._read(slot, start, embeds)
        return self._logits(hidden) if wants_logits else None

    def decode(
        self,
        adapter: link.Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Items[int],
    ) -> Tensor:
        # One by one: caches of different lengths cannot share a forward pass.
        self._use(adapter)
        rows = []
        for slot, position, token in zip(slots, positions, tokens, strict=True):
            embeds = self._embed(Piece(text_chunk([token]), 0, 1))
            rows.append(self._logits(self._read(slot, position, embeds)))
        return torch.stack(rows)

    def decode_ahead(
        self,
        adapter: link.Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Tensor,
        read: Read,
    ) -> None:
        """Begin nothing: this backend is plain."""

    def _embed(self, piece: Piece) -> Tensor:
        """Return embeddings [high - low, H]."""
        if piece.chunk.kind == "text":
            ids = torch.tensor(piece.chunk.ids[piece.low : piece.high], device=self.device)
            embeds: Tensor = self._hf.model.embed_tokens(ids)
            return embeds
        assert isinstance(piece.chunk.media, Tensor)
        return piece.chunk.media[piece.low : piece.high].to(self.device)

    def _read(self, slot: int, start: int, embeds: Tensor) -> Tensor:
        """Compute [T, H] from position ``start`` on; return the last hidden state [H]."""
        if start == 0:
            self._caches[slot] = DynamicCache(config=self._hf.config)
        cache = self._caches[slot]
        excess = cache.get_seq_length() - start
        assert excess >= 0
        if excess:
            cache.crop(-excess)
        out = self._hf.model(inputs_embeds=embeds[None], past_key_values=cache)
        hidden: Tensor = out.last_hidden_state[0, -1]
        return hidden

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self._hf.lm_head(hidden)
        return logits.float()

    def _use(self, adapter: link.Adapter) -> None:
        """Put the merged matrices of an adapter into the model's layers."""
        if self._adapter == adapter:
            return
        for name, matrix in self._matrices[adapter].items():
            linear = self._hf.get_submodule(name.removesuffix(".weight"))
            linear.weight = matrix
        self._adapter = adapter

    # --- the rest ----------------------------------------------------------------------

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self._tokenizer, self.vocab_size, self.stop_ids)

    def detokenizer(self) -> ReplyText:
        return ReplyText(Detokenizer(self._tokenizer))

    @torch.inference_mode()
    def warm_up(self) -> None:
        for adapter in sorted(self.adapters):
            self.prefill(adapter, 0, 0, [Piece(text_chunk([0]), 0, 1)], wants_logits=True)
            self.encode(Clip(np.zeros(16_000, dtype=np.float32)), adapter)
        self.encode(Picture(np.zeros((448, 448, 3), dtype=np.uint8), 1), "vision")
        self.vocabulary.prepare()
        self.check_device()

    def check_device(self) -> None:
        torch.zeros(1, device=self.device).add_(1).item()


def build_model(
    checkpoint: Checkpoint, device: str, dtype: torch.dtype, attention: str = "eager"
) -> Any:
    """Return transformers' model with the checkpoint's base weights."""
    native = dataclasses.replace(checkpoint.config, layout="native")
    hf_config = Phi4MultimodalConfig.from_dict(json_files(native)["config.json"])
    # The window is longer than any sequence; without it the cache can be cut anywhere.
    hf_config.sliding_window = None
    hf_config.dtype = dtype
    hf_config._attn_implementation = attention
    with torch.device("meta"):
        model: Any = Phi4MultimodalForCausalLM(hf_config)
    weights = {
        name: tensor.read().to(device=device, dtype=dtype)
        for name, tensor in checkpoint.tensors.items()
    }
    # What is missing is computed by transformers and read by nobody, or tied.
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    assert not unexpected
    state = model.state_dict()
    zeros = {
        name: torch.zeros(state[name].shape, device=device, dtype=dtype) for name in missing
    }
    model.load_state_dict(zeros, strict=False, assign=True)
    if checkpoint.config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    model.model.rotary_emb = Phi4MultimodalRotaryEmbedding(hf_config).to(device)
    return model.requires_grad_(False).eval()


def _merged(
    checkpoint: Checkpoint, adapter: link.Adapter, device: str, dtype: torch.dtype
) -> dict[str, nn.Parameter]:
    """Return the decoder's matrices with an adapter merged, by native name."""
    pairs = {} if adapter == "none" else checkpoint.loras[adapter]
    matrices = {}
    for name in lora_targets(checkpoint.config):
        base = checkpoint.tensors[name].read()
        if name in pairs:
            matrix = merge(base, pairs[name], device=device, dtype=dtype)
        else:
            matrix = base.to(device=device, dtype=dtype)
        matrices[name] = nn.Parameter(matrix, requires_grad=False)
    return matrices
