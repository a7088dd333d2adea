"""
The engine's backend over our own Phi-4-multimodal modules.

Knows which encoder, projector and merged decoder a sequence needs; knows no sequence.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from assistant.config import EngineConfig
from assistant.engine.prompt_parts import Clip, Picture, prepare_part
from assistant.engine.sequence import Chunk, Piece
from assistant.engine.vocabulary import Vocabulary
from assistant.model.detokenizer import Detokenizer
from assistant.model.features import log_mel
from assistant.model.images import prepare_image
from assistant.model.kv_cache import KVCache
from assistant.model.phi4 import Phi4Multimodal
from assistant.wire import link

WARM_UP_TOKENS = 8


class NativeBackend:
    """One loaded model, its encoders, and the KV cache of all rows."""

    def __init__(self, model: Phi4Multimodal, name: str, config: EngineConfig) -> None:
        self.model = name
        self.device = model.device
        self.dtype = str(model.dtype).removeprefix("torch.")
        self.is_meaningless = model.config.has_random_weights
        self.stop_ids = frozenset(model.config.stop_ids)
        self.adapters = model.adapters
        self.vocab_size = model.config.vocab_size
        self._phi4 = model
        self._config = config
        self._cache = KVCache.for_model(
            model.config,
            num_slots=config.num_slots,
            max_tokens=config.max_sequence_tokens,
            dtype=model.dtype,
            device=model.device,
        )

    def prepare(self, part: link.Part, adapter: link.Adapter) -> Chunk:
        return prepare_part(part, self._phi4.config, self._phi4.tokenizer, self._config)

    def encode(self, media: object, adapter: link.Adapter) -> Tensor:
        """Return embeddings [N, H] on the device."""
        match media:
            case Picture():
                encoder = self._phi4.image_encoder
                vision = self._phi4.config.vision
                assert encoder is not None
                assert vision is not None
                prepared = prepare_image(
                    media.rgb, media.max_crops, vision.image_size, vision.patch_size
                )
                embeds: Tensor = encoder(prepared)
            case Clip():
                hear = self._phi4.audio_encoder
                assert hear is not None
                features = torch.from_numpy(log_mel(media.samples)).to(self.device)
                # The projector goes with the adapter, whatever the prompt holds: an
                # answer must not depend on whether a picture came before or after.
                embeds = hear(features, "vision" if adapter == "vision" else "speech")
            case _:
                raise AssertionError(f"not prepared media: {type(media).__name__}")
        return embeds

    def offload(self, media: object) -> Tensor:
        assert isinstance(media, Tensor)
        return media.cpu()

    def prefill(
        self,
        adapter: link.Adapter,
        slot: int,
        start: int,
        pieces: Items[Piece],
        *,
        wants_logits: bool,
    ) -> Tensor | None:
        decoder = self._phi4.decoder(adapter)
        embeds = torch.cat([self._embed(piece, adapter) for piece in pieces])  # [T, H]
        hidden = decoder.prefill(embeds, self._cache, slot, start)
        return decoder.logits(hidden[-1]) if wants_logits else None

    def _embed(self, piece: Piece, adapter: link.Adapter) -> Tensor:
        """Return embeddings [high - low, H]."""
        if piece.chunk.kind == "text":
            ids = piece.chunk.ids[piece.low : piece.high]
            return self._phi4.decoder(adapter).embed(self._integers(ids))
        embeds = piece.chunk.media
        assert isinstance(embeds, Tensor)
        return embeds[piece.low : piece.high].to(self.device)

    def decode(
        self,
        adapter: link.Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Items[int],
    ) -> Tensor:
        decoder = self._phi4.decoder(adapter)
        hidden = decoder.decode(
            decoder.embed(self._integers(tokens)),
            self._cache,
            self._integers(slots),
            self._integers(positions),
            num_keys=max(positions) + 1,
        )
        return decoder.logits(hidden)

    def _integers(self, values: Items[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int64, device=self.device)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self._phi4.tokenizer, self.vocab_size, self.stop_ids)

    def detokenizer(self) -> "ReplyText":
        return ReplyText(Detokenizer(self._phi4.tokenizer))

    @torch.inference_mode()
    def warm_up(self) -> None:
        ids = [0] * WARM_UP_TOKENS
        piece = Piece(Chunk(kind="text", num_tokens=len(ids), ids=ids), 0, len(ids))
        for adapter in sorted(self.adapters):
            self.prefill(adapter, 0, 0, [piece], wants_logits=True)
            self.decode(adapter, [0], [len(ids)], [0])
            if self._phi4.audio_encoder is not None:
                self.encode(Clip(np.zeros(16_000, dtype=np.float32)), adapter)
        if self._phi4.config.vision is not None:
            side = self._phi4.config.vision.image_size
            self.encode(Picture(np.zeros((side, side, 3), dtype=np.uint8), 1), "vision")
        self.vocabulary.prepare()
        self.check_device()

    def check_device(self) -> None:
        torch.zeros(1, device=self.device).add_(1).item()


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The text of one reply, token by token."""

    detokenizer: Detokenizer

    def feed(self, token: int) -> str:
        return self.detokenizer.receive([token])

    def finish(self) -> str:
        return self.detokenizer.flush()
