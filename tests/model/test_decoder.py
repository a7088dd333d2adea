import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from assistant.model.config import parse_config
from assistant.model.decoder import Decoder
from assistant.model.kv_cache import KVCache
from assistant.model.weights import read_checkpoint


@pytest.fixture(scope="module")
def decoder(checkpoints: Path) -> Decoder:
    stored = read_checkpoint(checkpoints / "text").under("model.")
    decoder = Decoder(parse_config(checkpoints / "text"))
    decoder.load_state_dict({name: tensor.read() for name, tensor in stored.items()})
    return decoder.requires_grad_(False)


def new_cache(checkpoints: Path) -> KVCache:
    return KVCache.for_model(
        parse_config(checkpoints / "text"),
        num_slots=4,
        max_tokens=64,
        dtype=torch.float32,
        device="cpu",
    )


def drawn_ids(count: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 900, (count,), generator=torch.Generator().manual_seed(seed))


def test_prefill_in_parts_is_prefill_at_once(decoder: Decoder, checkpoints: Path) -> None:
    cache = new_cache(checkpoints)
    embeds = decoder.embed(drawn_ids(20))
    whole = decoder.prefill(embeds, cache, slot=0, start=0)
    parts = [
        decoder.prefill(embeds[start:end], cache, slot=1, start=start)
        for start, end in ((0, 7), (7, 8), (8, 20))
    ]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-4)
    assert torch.allclose(cache.keys[:, 0], cache.keys[:, 1], atol=1e-4)


def test_a_ragged_batch_decodes_like_each_row_alone(
    decoder: Decoder, checkpoints: Path
) -> None:
    cache = new_cache(checkpoints)
    lengths, slots = [1, 19, 6], [2, 0, 3]
    prompts = [drawn_ids(n + 5, seed) for seed, n in enumerate(lengths)]
    alone = []
    for slot, length, ids in zip(slots, lengths, prompts, strict=True):
        alone.append(decoder.prefill(decoder.embed(ids), cache, slot, 0)[length:])
        decoder.prefill(decoder.embed(ids[:length]), cache, slot, 0)
    for step in range(5):
        positions = torch.tensor([length + step for length in lengths])
        ids = torch.stack([ids[n + step] for ids, n in zip(prompts, lengths, strict=True)])
        hidden = decoder.decode(decoder.embed(ids), cache, torch.tensor(slots), positions)
        assert torch.allclose(
            hidden, torch.stack([rows[step] for rows in alone]), atol=1e-4
        )


def test_fixed_shapes_decode_like_rows(decoder: Decoder, checkpoints: Path) -> None:
    cache = new_cache(checkpoints)
    slots, positions = torch.tensor([2, 0]), torch.tensor([9, 3])
    for slot in (0, 2):
        decoder.prefill(decoder.embed(drawn_ids(12, slot)), cache, slot, 0)
    embeds = decoder.embed(drawn_ids(2))
    rows = decoder.decode(embeds, cache, slots, positions)
    for num_keys in (10, 64):
        batch = decoder.decode(embeds, cache, slots, positions, num_keys=num_keys)
        assert torch.allclose(batch, rows, atol=1e-4)


def test_a_slot_that_was_cut_back_forgets(decoder: Decoder, checkpoints: Path) -> None:
    cache = new_cache(checkpoints)
    first, dropped, other = (decoder.embed(drawn_ids(n, seed=n)) for n in (9, 11, 4))
    decoder.prefill(first, cache, slot=1, start=0)
    decoder.prefill(dropped, cache, slot=1, start=9)
    after = decoder.prefill(other, cache, slot=1, start=9)
    decoder.prefill(first, cache, slot=2, start=0)
    assert torch.equal(after, decoder.prefill(other, cache, slot=2, start=9))


def test_decoding_leaves_other_slots_alone(decoder: Decoder, checkpoints: Path) -> None:
    cache = new_cache(checkpoints)
    decoder.prefill(decoder.embed(drawn_ids(8)), cache, slot=1, start=0)
    before = cache.keys[:, 1].clone()
    embeds = decoder.embed(drawn_ids(2))
    decoder.decode(embeds, cache, torch.tensor([0, 3]), torch.tensor([0, 0]))
    assert torch.equal(cache.keys[:, 1], before)
    assert cache.keys[:, 3, :, 0].any()
    assert not cache.keys[:, 3, :, 1:].any()


def test_logits_are_float32(decoder: Decoder) -> None:
    half = Decoder.logits(decoder.to(torch.bfloat16), torch.zeros(2, 96).bfloat16())
    assert half.dtype == torch.float32
    assert half.shape == (2, 1024)
    decoder.to(torch.float32)


def test_an_untied_head_is_used(checkpoints: Path) -> None:
    config = dataclasses.replace(
        parse_config(checkpoints / "text"), tie_word_embeddings=False
    )
    decoder = Decoder(config).requires_grad_(False)
    assert decoder.lm_head is not None
    hidden = torch.ones(96)
    assert torch.allclose(decoder.logits(hidden), decoder.lm_head.weight.sum(1), atol=1e-4)
