from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from assistant.model.attention import attend_fixed
from assistant.model.checkpoint_writer import tiny_config
from assistant.model.decoder import Decoder
from assistant.model.kv_cache import KVCache

Way = Callable[[Decoder, KVCache], Tensor]


def test_a_cache_has_the_model_s_heads_and_counts_its_bytes() -> None:
    config = tiny_config("text")
    cache = KVCache.for_model(
        config, num_slots=2, max_tokens=8, dtype=torch.bfloat16, device="cpu"
    )
    assert cache.keys.shape == cache.values.shape == (3, 2, 1, 8, 32)
    assert cache.num_bytes == 2 * 2 * cache.keys.numel()
    assert not cache.values.any()


# --- what somebody else left in a row ----------------------------------------------------


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    torch.manual_seed(3)
    decoder = Decoder(tiny_config("text")).requires_grad_(False)
    for name, weight in decoder.named_parameters():
        weight.fill_(1.0) if "norm" in name else weight.normal_(0, 0.1)
    return decoder


def embeds(decoder: Decoder, count: int) -> Tensor:
    return decoder.embed(torch.arange(7, 7 + count))


def read_at_once(decoder: Decoder, cache: KVCache) -> Tensor:
    return decoder.prefill(embeds(decoder, 20), cache, 1, 0)


def read_in_chunks(decoder: Decoder, cache: KVCache) -> Tensor:
    tokens = embeds(decoder, 20)
    bounds = ((0, 7), (7, 8), (8, 20))
    parts = [decoder.prefill(tokens[low:high], cache, 1, low) for low, high in bounds]
    return torch.cat(parts)


def read_a_tail(decoder: Decoder, cache: KVCache) -> Tensor:
    tokens = embeds(decoder, 20)
    decoder.prefill(tokens[:6], cache, 1, 0)
    filled = torch.zeros(32, tokens.shape[1])
    filled[:14] = tokens[6:]
    return decoder.read_tail(filled, cache, *(torch.tensor([n]) for n in (1, 6, 13)))


def written(decoder: Decoder, cache: KVCache, **options: object) -> Tensor:
    """Prompts of different lengths side by side, and three tokens of each."""
    for slot, length in ((1, 20), (2, 3)):
        decoder.prefill(embeds(decoder, length), cache, slot, 0)
    found = []
    for step in range(3):
        slots, positions = torch.tensor([1, 2]), torch.tensor([20 + step, 3 + step])
        token = embeds(decoder, 2 + step)[-2:]
        found.append(decoder.decode(token, cache, slots, positions, **options))  # type: ignore[arg-type]  # two of its options
    return torch.cat(found)


WAYS: dict[str, Way] = {
    "a prompt at once": read_at_once,
    "a prompt in chunks": read_in_chunks,
    "a tail of fixed size": read_a_tail,
    "tokens row by row": written,
    "tokens in a batch": lambda decoder, cache: written(decoder, cache, num_keys=40),
    "tokens of fixed shapes": lambda decoder, cache: written(
        decoder, cache, attend=attend_fixed
    ),
}


@pytest.mark.parametrize("left", [torch.nan, torch.inf])
@pytest.mark.parametrize("way", WAYS)
@torch.inference_mode()
def test_what_a_row_held_before_does_not_reach_its_next_user(
    decoder: Decoder, way: str, left: float
) -> None:
    caches = [
        KVCache.for_model(
            tiny_config("text"),
            num_slots=4,
            max_tokens=64,
            dtype=torch.float32,
            device="cpu",
        )
        for _ in range(2)
    ]
    caches[1].keys.fill_(left)
    caches[1].values.fill_(left)
    fresh, used = (WAYS[way](decoder, cache) for cache in caches)
    assert fresh.isfinite().all()
    assert torch.equal(used, fresh)
