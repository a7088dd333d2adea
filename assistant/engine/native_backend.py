"""
The engine's backend over our own Phi-4-multimodal modules.

Knows which encoder, projector and merged decoder a sequence needs; knows no sequence.
"""

import logging
import math
from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from assistant.config import EngineConfig
from assistant.engine import background
from assistant.engine.backend import PartlyEncoded
from assistant.engine.encoding import (
    Hearing,
    Sight,
    begin_hearing,
    begin_sight,
    hear,
    see,
    time_limit,
)
from assistant.engine.fixed_encoders import FixedEncoders
from assistant.engine.fixed_steps import FixedSteps, Recorder, cuda_capture
from assistant.engine.precision import Precision
from assistant.engine.prompt_parts import Clip, Picture, prepare_part
from assistant.engine.roofline import best_of
from assistant.engine.sampler import Read
from assistant.engine.sequence import Chunk, Piece
from assistant.engine.vocabulary import Vocabulary
from assistant.model.attention import Attend, AttendLatest, attend_fixed
from assistant.model.audio import Projector
from assistant.model.decoder import Decoder
from assistant.model.detokenizer import Detokenizer
from assistant.model.flash import find_flash
from assistant.model.kv_cache import KVCache
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.split_kv import find_kernel
from assistant.wire import link

log = logging.getLogger(__name__)

WARM_UP_TOKENS = 8
MEASURED_TOKENS = 64
"""A multiple of the former, and no longer than the shortest cache."""


class NativeBackend:
    """One loaded model, its encoders, and the KV cache of all rows."""

    def __init__(
        self,
        model: Phi4Multimodal,
        name: str,
        config: EngineConfig,
        *,
        fixes_shapes: bool | None = None,
    ) -> None:
        """Use steps of fixed shapes on CUDA, or where the argument says so."""
        self.model = name
        self.device = model.device
        self.dtype = str(Precision.uniform(model.dtype))
        if config.quantization != "none":
            self.dtype += f"+{config.quantization}"
        self.is_meaningless = model.config.has_random_weights
        self.stop_ids = frozenset(model.config.stop_ids)
        self.adapters = model.adapters
        self.vocab_size = model.config.vocab_size
        self.prefill_tokens_per_s = math.inf
        self._phi4 = model
        kind = torch.device(model.device).type
        self._is_cpu = kind == "cpu"
        if fixes_shapes is None:
            fixes_shapes = kind == "cuda" and config.cuda_graphs
        self._precision = Precision.uniform(model.dtype)
        self._config = config
        self._cache = KVCache.for_model(
            model.config,
            # Rows that only fill a batch up have a slot too, the last one.
            num_slots=config.num_slots + background.NUM_ROWS + fixes_shapes,
            max_tokens=config.max_sequence_tokens,
            dtype=model.dtype,
            device=model.device,
        )
        self._without_kernel: str | None = None
        self._attend = self._find_attend(kind)
        self._attend_latest = self._find_flash(kind)
        self._fixed: FixedSteps | None = None
        self._encoders: FixedEncoders | None = None
        if fixes_shapes:
            recorder = Recorder(cuda_capture(model.device) if kind == "cuda" else None)
            attend = self._attend or attend_fixed
            self._fixed = FixedSteps(
                model.decoder, self._cache, attend, recorder, config.num_slots
            )
            self._fix_encoders(recorder)

    def _fix_encoders(self, recorder: Recorder) -> None:
        ears, eyes = self._phi4.audio_encoder, self._phi4.image_encoder
        self._encoders = FixedEncoders(
            None if ears is None else ears.encoder,
            None if eyes is None else eyes.img_processor,
            recorder,
        )

    def _find_attend(self, kind: str) -> Attend | None:
        """Return the kernel that decodes, or None for the plain way."""
        if kind != "cuda" or not self._config.triton_attention:
            return None
        model = self._phi4.config
        heads = model.num_heads, model.num_kv_heads, model.head_dim
        found = find_kernel(self.device, *heads, self._phi4.dtype)
        if not isinstance(found, str):
            return found
        log.error("Triton's attention is off, torch's is used: %s", found)
        self._without_kernel = found
        return None

    def _find_flash(self, kind: str) -> AttendLatest | None:
        """Return what prompts are read with, or None for the plain way."""
        if kind != "cuda":
            return None
        model = self._phi4.config
        heads = model.num_heads, model.num_kv_heads, model.head_dim
        found = find_flash(self.device, *heads, self._phi4.dtype)
        if not isinstance(found, str):
            return found
        log.warning("there is no flash attention, torch's plain one is used: %s", found)
        return None

    @property
    def fallbacks(self) -> list[str]:
        """Name what could not be used of what the configuration asks for."""
        reasons = {"triton attention": self._without_kernel}
        if self._fixed is not None:
            reasons["CUDA graphs"] = self._fixed.recorder.failure
        return [f"{what}: {why}" for what, why in reasons.items() if why is not None]

    def prepare(self, part: link.Part, adapter: link.Adapter) -> Chunk:
        return prepare_part(part, self._phi4.config, self._phi4.tokenizer, self._config)

    def encode(self, media: object, adapter: link.Adapter) -> Tensor | PartlyEncoded:
        """Encode for ``max_chunk_ms`` and a layer; embeddings are [N, H] on the device."""
        is_over = time_limit(self._config.max_chunk_ms / 1000, self.device)
        state = media.state if isinstance(media, PartlyEncoded) else self._begin(media)
        assert isinstance(state, Sight | Hearing)
        if isinstance(state, Sight):
            assert self._phi4.image_encoder is not None
            result: Sight | Hearing | Tensor = see(
                state, self._phi4.image_encoder, is_over, self._encoders
            )
        else:
            assert self._phi4.audio_encoder is not None
            # The projector goes with the adapter, whatever the prompt holds: an answer
            # must not depend on whether a picture came before or after.
            projector: Projector = "vision" if adapter == "vision" else "speech"
            ears = self._phi4.audio_encoder
            result = hear(state, ears, projector, is_over, self._encoders)
        return result if isinstance(result, Tensor) else PartlyEncoded(result)

    def _begin(self, media: object) -> Sight | Hearing:
        match media:
            case Picture():
                vision = self._phi4.config.vision
                assert self._phi4.image_encoder is not None
                assert vision is not None
                return begin_sight(media, self._phi4.image_encoder, vision)
            case Clip():
                assert self._phi4.audio_encoder is not None
                return begin_hearing(media, self._phi4.audio_encoder)
            case _:
                raise AssertionError(f"not prepared media: {type(media).__name__}")

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
        if self._fixed is not None:
            self._fixed.forget(slot)
        dtype = self._precision.prefill
        decoder = self._phi4.decoder(adapter, dtype)
        embeds = torch.cat([self._embed(piece, decoder).to(dtype) for piece in pieces])
        if self._fixed is not None and wants_logits:
            logits = self._fixed.read_tail(adapter, slot, start, embeds)
            if logits is not None:
                return logits
        num_wanted = 1 if wants_logits else 0
        hidden = decoder.prefill(
            embeds, self._cache, slot, start, num_wanted, self._attend_latest
        )
        return decoder.logits(hidden)[0] if wants_logits else None

    def _embed(self, piece: Piece, decoder: Decoder) -> Tensor:
        """Return embeddings [high - low, H]."""
        if piece.chunk.kind == "text":
            ids = piece.chunk.ids[piece.low : piece.high]
            return decoder.embed(self._integers(ids))
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
        if self._fixed is not None:
            logits = self._fixed.decode(adapter, slots, positions, tokens)
            if logits is not None:
                return logits
        precision = self._precision
        dtype = precision.decode if len(slots) == 1 else precision.batch
        decoder = self._phi4.decoder(adapter, dtype)
        hidden = decoder.decode(
            decoder.embed(self._integers(tokens)),
            self._cache,
            self._integers(slots),
            self._integers(positions),
            # A CPU reads each row where it lies; other devices want one shape for all.
            num_keys=None if self._is_cpu else max(positions) + 1,
            attend=self._attend,
        )
        return decoder.logits(hidden)

    def decode_ahead(
        self,
        adapter: link.Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Tensor,
        read: Read,
    ) -> None:
        if self._fixed is not None:
            self._fixed.decode_ahead(adapter, slots, positions, tokens, read)

    def _integers(self, values: Items[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int64, device=self.device)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self._phi4.tokenizer, self.vocab_size, self.stop_ids)

    def detokenizer(self) -> "ReplyText":
        return ReplyText(Detokenizer(self._phi4.tokenizer))

    def use(self, precision: Precision) -> None:
        """Compute each part in its type; keys and values keep that of the model."""
        self._precision = precision
        self.dtype = str(precision)
        self._phi4.cast_encoders(precision.vision, precision.audio)
        if self._fixed is not None:
            self._fix_encoders(self._fixed.recorder)
        decoders = {precision.prefill, precision.decode, precision.batch}
        self._phi4.forget_decoders(decoders)
        is_for_one = precision.decode not in (precision.prefill, precision.batch)
        if is_for_one and precision.decode == torch.bfloat16:
            for adapter in sorted(self.adapters):
                self._phi4.decoder(adapter, torch.bfloat16).favour_single_rows()

    @torch.inference_mode()
    def warm_up(self) -> None:
        ids = [0] * WARM_UP_TOKENS
        piece = Piece(Chunk(kind="text", num_tokens=len(ids), ids=ids), 0, len(ids))
        for adapter in sorted(self.adapters):
            self.prefill(adapter, 0, 0, [piece], wants_logits=True)
            self.decode(adapter, [0], [len(ids)], [0])
            if self._config.num_slots > 1:
                self.decode(adapter, [0, 1], [len(ids), 0], [0, 0])
            if self._phi4.audio_encoder is not None:
                self.encode(Clip(np.zeros(16_000, dtype=np.float32)), adapter)
        if self._phi4.config.vision is not None:
            side = self._phi4.config.vision.image_size
            self.encode(Picture(np.zeros((side, side, 3), dtype=np.uint8), 1), "vision")
        self.vocabulary.prepare()
        if self._fixed is not None:
            self._fixed.prepare(sorted(self.adapters))
            assert self._encoders is not None
            ears = self._phi4.config.audio
            self._encoders.prepare(0 if ears is None else ears.window_frames)
            log.info("%d CUDA graphs recorded", self._fixed.recorder.num_graphs)
        self._measure_prefill(piece)
        self.check_device()

    def _measure_prefill(self, piece: Piece) -> None:
        """Find out how fast prompts are read; one weight pass decides it."""
        pieces = [piece] * (MEASURED_TOKENS // WARM_UP_TOKENS)
        adapter = min(self.adapters)
        seconds = best_of(
            lambda: self.prefill(adapter, 0, 0, pieces, wants_logits=False), self.device, 1
        )
        self.prefill_tokens_per_s = MEASURED_TOKENS / seconds

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
