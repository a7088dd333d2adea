"""
In which type each part of the model computes on a CPU, found out by trying.

Which of float32 and bfloat16 is faster differs between processors and between the parts:
where there are no units for bfloat16 a prompt is read three times as fast in float32, and
a single token still comes sooner from half the bytes. bfloat16 gives up digits, so it has
to be clearly faster. A model that is small enough for the caches stays in float32 and is
not tried, one that is too large to be held twice neither.
"""

import logging
from dataclasses import astuple, dataclass
from typing import Self

import numpy as np
import torch

from assistant.engine.encoding import Sight, begin_sight, see
from assistant.engine.prompt_parts import Picture
from assistant.engine.roofline import best_of
from assistant.model.decoder import Decoder
from assistant.model.kv_cache import KVCache
from assistant.model.phi4 import Phi4Multimodal

log = logging.getLogger(__name__)

MARGIN = 1.2
"""How many times faster bfloat16 has to be."""
SMALL_BYTES = 64 * 2**20
LARGE_BYTES = 4 * 2**30
"""Of a decoder in float32; between the two it pays to try."""
PROMPT_TOKENS = 64
BATCH = 4
REPEATS = 2


@dataclass(frozen=True, slots=True)
class Precision:
    """The type of each part."""

    vision: torch.dtype
    audio: torch.dtype
    prefill: torch.dtype
    decode: torch.dtype
    """One sequence by itself."""
    batch: torch.dtype
    """Several sequences together."""

    @classmethod
    def uniform(cls, dtype: torch.dtype) -> Self:
        """Return one type for all parts."""
        return cls(dtype, dtype, dtype, dtype, dtype)

    def __str__(self) -> str:
        """Name the types, the most common one first."""
        names = [str(dtype).removeprefix("torch.") for dtype in astuple(self)]
        return "+".join(sorted(set(names), key=names.count, reverse=True))


def choose_precision(model: Phi4Multimodal) -> Precision:
    """Return the fastest precision of a float32 model; takes some of its passes."""
    num_bytes = sum(p.nbytes for p in model.decoder("none").parameters())
    if model.dtype != torch.float32 or not SMALL_BYTES < num_bytes < LARGE_BYTES:
        return Precision.uniform(model.dtype)
    times = {dtype: _time(model, dtype) for dtype in (torch.float32, torch.bfloat16)}
    exact, short = times[torch.float32], times[torch.bfloat16]
    chosen = Precision(*map(_faster, exact, short))
    log.info("float32 takes %s ms, bfloat16 %s ms: %s", _ms(exact), _ms(short), chosen)
    return chosen


def _faster(exact_s: float, short_s: float) -> torch.dtype:
    return torch.bfloat16 if exact_s > MARGIN * short_s else torch.float32


def _ms(times: list[float]) -> list[int]:
    return [round(1e3 * time) for time in times]


@torch.inference_mode()
def _time(model: Phi4Multimodal, dtype: torch.dtype) -> list[float]:
    """Return the seconds each part takes in a type, in the order of ``Precision``."""
    decoder = model.decoder("none", dtype)
    times = [
        _time_sight(model, dtype),
        _time_hearing(model, dtype),
        _time_prompt(model, decoder),
    ]
    together = _time_step(model, decoder, BATCH)
    if dtype == torch.bfloat16:
        decoder.favour_single_rows()
    times += [_time_step(model, decoder, 1), together]
    model.cast_encoders(model.dtype, model.dtype)
    model.forget_decoders({model.dtype})
    return times


def _time_sight(model: Phi4Multimodal, dtype: torch.dtype) -> float:
    if model.image_encoder is None or model.config.vision is None:
        return 0.0
    model.cast_encoders(dtype, dtype)
    side = model.config.vision.image_size
    picture = Picture(np.zeros((side, side, 3), np.uint8), 1)
    sight: Sight = begin_sight(picture, model.image_encoder, model.config.vision)
    encoder = model.image_encoder
    return best_of(lambda: see(sight, encoder), model.device, 1)


def _time_hearing(model: Phi4Multimodal, dtype: torch.dtype) -> float:
    encoder = model.audio_encoder
    if encoder is None:
        return 0.0
    model.cast_encoders(dtype, dtype)
    features = torch.zeros(200, encoder.config.num_mels)
    return best_of(lambda: encoder(features, "speech"), model.device, REPEATS)


def _time_prompt(model: Phi4Multimodal, decoder: Decoder) -> float:
    cache = _cache(model)
    embeds = decoder.embed(torch.zeros(PROMPT_TOKENS, dtype=torch.int64))
    return best_of(lambda: decoder.prefill(embeds, cache, 0, 0), model.device, REPEATS)


def _time_step(model: Phi4Multimodal, decoder: Decoder, num_rows: int) -> float:
    cache = _cache(model)
    slots = torch.arange(num_rows)
    positions = torch.full((num_rows,), PROMPT_TOKENS - 1)
    embeds = decoder.embed(torch.zeros(num_rows, dtype=torch.int64))
    return best_of(
        lambda: decoder.logits(decoder.decode(embeds, cache, slots, positions)),
        model.device,
        REPEATS,
    )


def _cache(model: Phi4Multimodal) -> KVCache:
    return KVCache.for_model(
        model.config,
        num_slots=BATCH,
        max_tokens=PROMPT_TOKENS,
        dtype=model.dtype,
        device=model.device,
    )
