"""
In which type each part of the model computes on a CPU, found out by trying.

Which of float32 and bfloat16 is faster differs between processors and between the parts:
where there are no units for bfloat16 a prompt is read three times as fast in float32, and
a single token still comes sooner from half the bytes. bfloat16 gives up digits, so it has
to be clearly faster. A model that is small enough for the caches stays in float32 and is
not tried, one that is too large to be held twice neither.
"""

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from assistant.engine.encoding import begin_sight, see
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
MEL_FRAMES = 200
ROUNDS = 3

Work = Callable[[], object]


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
        names = [str(dtype).removeprefix("torch.") for dtype in dataclasses.astuple(self)]
        return "+".join(sorted(set(names), key=names.count, reverse=True))


def choose_precision(model: Phi4Multimodal) -> Precision:
    """Return the fastest precision of a float32 model; takes some of its passes."""
    num_bytes = sum(p.nbytes for p in model.decoder("none").parameters())
    if model.dtype != torch.float32 or not SMALL_BYTES < num_bytes < LARGE_BYTES:
        return Precision.uniform(model.dtype)
    exact, short = model.decoder("none"), model.decoder("none", torch.bfloat16)
    vision, audio = _try_encoders(model)
    prefill = faster(_prompt(model, exact), _prompt(model, short))
    batch = faster(_step(model, exact, BATCH), _step(model, short, BATCH))
    short.favour_single_rows()
    decode = faster(_step(model, exact, 1), _step(model, short, 1))
    model.forget_decoders({model.dtype})
    chosen = Precision(vision, audio, prefill, decode, batch)
    log.info("fastest types: %s", dataclasses.asdict(chosen))
    return chosen


@torch.inference_mode()
def faster(exact: Work, short: Work) -> torch.dtype:
    """Return float32 unless ``short`` takes clearly less time than ``exact``."""
    times: dict[Work, list[float]] = {exact: [], short: []}
    # In turns, so that a neighbour on this machine who starts or stops slows both.
    for _ in range(ROUNDS):
        for work, mine in times.items():
            mine.append(best_of(work, "cpu", 1, num_warm_ups=0))
    exact_s, short_s = (min(mine) for mine in times.values())
    return torch.bfloat16 if exact_s > MARGIN * short_s else torch.float32


def _try_encoders(model: Phi4Multimodal) -> tuple[torch.dtype, torch.dtype]:
    """Return the types of eyes and ears; float32 of what there is not."""
    works = []
    for dtype in (torch.float32, torch.bfloat16):
        model.cast_encoders(dtype, dtype)
        works.append((_sight(model), _hearing(model)))
    model.cast_encoders(torch.float32, torch.float32)
    (exact_eyes, exact_ears), (short_eyes, short_ears) = works
    return faster(exact_eyes, short_eyes), faster(exact_ears, short_ears)


def _sight(model: Phi4Multimodal) -> Work:
    encoder, config = model.image_encoder, model.config.vision
    if encoder is None or config is None:
        return lambda: None
    picture = Picture(np.zeros((config.image_size, config.image_size, 3), np.uint8), 1)
    sight = begin_sight(picture, encoder, config)
    return lambda: see(sight, encoder)


def _hearing(model: Phi4Multimodal) -> Work:
    encoder = model.audio_encoder
    if encoder is None:
        return lambda: None
    features = torch.zeros(MEL_FRAMES, encoder.config.num_mels)
    return lambda: encoder(features, "speech")


def _prompt(model: Phi4Multimodal, decoder: Decoder) -> Work:
    cache = _cache(model)
    embeds = decoder.embed(torch.zeros(PROMPT_TOKENS, dtype=torch.int64))
    return lambda: decoder.prefill(embeds, cache, 0, 0)


def _step(model: Phi4Multimodal, decoder: Decoder, num_rows: int) -> Work:
    cache = _cache(model)
    slots = torch.arange(num_rows)
    positions = torch.full((num_rows,), PROMPT_TOKENS - 1)
    embeds = decoder.embed(torch.zeros(num_rows, dtype=torch.int64))
    return lambda: decoder.logits(decoder.decode(embeds, cache, slots, positions))


def _cache(model: Phi4Multimodal) -> KVCache:
    return KVCache.for_model(
        model.config,
        num_slots=BATCH,
        max_tokens=PROMPT_TOKENS,
        dtype=model.dtype,
        device=model.device,
    )
