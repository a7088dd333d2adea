import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from assistant.model.attention import attend_fixed, attend_latest
from assistant.model.config import parse_config
from assistant.model.decoder import Decoder
from assistant.model.fp8 import Fp8Matrix
from assistant.model.kv_cache import KVCache
from assistant.model.linear import Int8Matrix
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


@pytest.mark.parametrize("num_wanted", [None, 2, 0])
def test_a_prompt_is_read_with_what_attends_in_place_of_the_plain_way(
    decoder: Decoder, checkpoints: Path, num_wanted: int | None
) -> None:
    embeds = decoder.embed(drawn_ids(20))
    asked: list[tuple[int, int]] = []

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        asked.append((len(queries), keys.shape[1]))
        return attend_latest(queries, keys, values)

    plain, other = new_cache(checkpoints), new_cache(checkpoints)
    outs = []
    for cache, way in ((plain, None), (other, attend)):
        decoder.prefill(embeds[:6], cache, 1, 0, 0, way)
        outs.append(decoder.prefill(embeds[6:], cache, 1, 6, num_wanted, way))
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(plain.keys, other.keys)
    assert asked[-1] == (num_wanted or 14, 20)


@pytest.mark.parametrize("start", [0, 5])
def test_a_tail_of_fixed_size_is_the_prefill_of_its_tokens(
    decoder: Decoder, checkpoints: Path, start: int
) -> None:
    """Filled up behind its end, and decoded from there as if nothing had been."""
    embeds = decoder.embed(drawn_ids(20))
    plain, fixed = new_cache(checkpoints), new_cache(checkpoints)
    for cache in (plain, fixed):
        if start:
            decoder.prefill(embeds[:start], cache, 2, 0)
    wanted = decoder.prefill(embeds[start:], plain, 2, start, 1)
    num_tokens = 20 - start
    filled = torch.zeros(32, embeds.shape[1])
    filled[:num_tokens] = embeds[start:]
    places = (torch.tensor([n]) for n in (2, start, num_tokens - 1))
    found = decoder.read_tail(filled, fixed, *places)
    assert torch.allclose(found, wanted, atol=1e-4)
    slots, positions = torch.tensor([2]), torch.tensor([20])
    token = decoder.embed(drawn_ids(1, seed=1))
    wanted = decoder.decode(token, plain, slots, positions)
    found = decoder.decode(token, fixed, slots, positions, attend=attend_fixed)
    assert torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("start", [0, 5])
def test_asking_for_the_last_tokens_only_saves_work_and_changes_nothing(
    decoder: Decoder, checkpoints: Path, start: int
) -> None:
    embeds = decoder.embed(drawn_ids(20))
    outs, caches = [], []
    for num_wanted in (None, 2, 1, 0):
        cache = new_cache(checkpoints)
        if start:
            decoder.prefill(embeds[:start], cache, 1, 0)
        outs.append(decoder.prefill(embeds[start:], cache, 1, start, num_wanted))
        caches.append(cache)
    assert [len(out) for out in outs] == [20 - start, 2, 1, 0]
    for out, cache in zip(outs[1:], caches[1:], strict=True):
        expected = outs[0][20 - start - len(out) :]
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
        assert torch.equal(cache.keys, caches[0].keys)
        assert torch.equal(cache.values, caches[0].values)


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


def test_bfloat16_is_float32_but_for_rounding(decoder: Decoder, checkpoints: Path) -> None:
    logits = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = copy.deepcopy(decoder).to(dtype)
        cache = KVCache(3, 1, 64, 1, 32, dtype, "cpu")
        model.prefill(model.embed(drawn_ids(20)), cache, 0, 0)
        hidden = model.decode(
            model.embed(torch.tensor([7])), cache, torch.tensor([0]), torch.tensor([20])
        )
        logits[dtype] = model.logits(hidden)
        assert hidden.dtype == dtype
        assert logits[dtype].dtype == torch.float32
    spread = logits[torch.float32].std()
    error = (logits[torch.float32] - logits[torch.bfloat16]).std()
    assert error < 0.1 * spread


def test_an_untied_head_is_used(checkpoints: Path) -> None:
    config = dataclasses.replace(
        parse_config(checkpoints / "text"), tie_word_embeddings=False
    )
    decoder = Decoder(config).requires_grad_(False)
    assert decoder.lm_head is not None
    torch.nn.init.normal_(decoder.lm_head.weight)
    hidden = torch.ones(96)
    assert torch.allclose(decoder.logits(hidden), decoder.lm_head.weight.sum(1), atol=1e-4)


def test_matrices_stored_transposed_compute_the_same(
    decoder: Decoder, checkpoints: Path
) -> None:
    turned = copy.deepcopy(decoder)
    turned.favour_single_rows()
    ids = drawn_ids(9)
    out = [
        model.logits(model.prefill(model.embed(ids), new_cache(checkpoints), 0, 0))
        for model in (decoder, turned)
    ]
    torch.testing.assert_close(out[0], out[1], atol=1e-5, rtol=1e-5)


def test_a_cache_of_another_type_gives_nearly_the_same(
    decoder: Decoder, checkpoints: Path
) -> None:
    short = copy.deepcopy(decoder).to(torch.bfloat16)
    cache, exact = new_cache(checkpoints), new_cache(checkpoints)
    ids, slots, positions = drawn_ids(9), torch.tensor([0]), torch.tensor([9])
    decoder.prefill(decoder.embed(ids), cache, 0, 0)
    decoder.prefill(decoder.embed(ids), exact, 0, 0)
    mixed = short.logits(short.decode(short.embed(ids[:1]), cache, slots, positions))
    alone = decoder.logits(decoder.decode(decoder.embed(ids[:1]), exact, slots, positions))
    assert cache.keys.dtype == torch.float32
    assert (mixed - alone).square().mean().sqrt() < 0.02 * alone.std()


@pytest.mark.parametrize("num_rows", [1, 3])
@pytest.mark.parametrize(
    ("kind", "times", "share"), [(Int8Matrix, 3, 0.15), (Fp8Matrix, 10, 0.5)]
)
def test_eight_bits_move_logits_by_at_most_so_many_times_what_bfloat16_does(
    decoder: Decoder,
    checkpoints: Path,
    num_rows: int,
    kind: type[Int8Matrix] | type[Fp8Matrix],
    times: int,
    share: float,
) -> None:
    rounded = copy.deepcopy(decoder)
    rounded.quantize(kind)
    out = []
    for model in (decoder, rounded, copy.deepcopy(decoder).to(torch.bfloat16)):
        cache, ids = new_cache(checkpoints), drawn_ids(30)
        for slot in range(num_rows):
            model.prefill(model.embed(ids), cache, slot, 0)
        slots, positions = torch.arange(num_rows), torch.full((num_rows,), 30)
        embeds = model.embed(drawn_ids(num_rows, seed=1))
        out.append(model.logits(model.decode(embeds, cache, slots, positions)))
    exact, short, bfloat16 = out
    error, usual = ((exact - other).square().mean().sqrt() for other in (short, bfloat16))
    assert 0 < error < times * usual
    assert error < share * exact.std()
