"""Steps of fixed shapes give what plain ones give; nothing is recorded on a CPU."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from assistant.config import EngineConfig
from assistant.engine.fixed_steps import (
    TAIL_SIZES,
    FixedSteps,
    Recorder,
    batch_sizes,
    next_size,
)
from assistant.engine.native_backend import NativeBackend
from assistant.model.attention import attend_fixed
from assistant.model.kv_cache import KVCache
from assistant.model.phi4 import Phi4Multimodal
from assistant.wire import link
from tests.engine.model_prompts import Desk, prompts, reply

CONFIG = EngineConfig(num_slots=3, max_sequence_tokens=640, prefill_chunk_tokens=64)


@pytest.fixture(scope="module")
def model(demo_folder: Path) -> Phi4Multimodal:
    return Phi4Multimodal.load(demo_folder, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def backends(model: Phi4Multimodal) -> tuple[NativeBackend, NativeBackend]:
    """A plain one, and one whose steps have fixed shapes."""
    plain = NativeBackend(model, "demo", CONFIG)
    fixed = NativeBackend(model, "demo", CONFIG, fixes_shapes=True)
    for backend in (plain, fixed):
        backend.stop_ids = frozenset()  # a random model may stop at once
    return plain, fixed


def test_batches_grow_by_doubling_up_to_what_they_need_together() -> None:
    assert batch_sizes(1) == (1,)
    assert batch_sizes(6) == (1, 2, 4, 8)
    assert batch_sizes(1000)[-1] == 64


def test_the_next_size_holds_what_there_is() -> None:
    assert [next_size(count, TAIL_SIZES) for count in (1, 16, 17, 256)] == [16, 16, 32, 256]
    assert next_size(257, TAIL_SIZES) is None


def test_a_failed_recording_is_said_once_and_everything_is_computed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    num_tried = 0

    def capture(compute: object) -> None:
        nonlocal num_tried
        num_tried += 1
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    recorder = Recorder(capture)  # type: ignore[arg-type]  # it never returns
    for _ in range(3):
        assert recorder.record(lambda: torch.ones(1))().item() == 1
    assert num_tried == 1
    assert recorder.failure == "operation not permitted when stream is capturing"
    assert caplog.text.count("CUDA graphs are off") == 1


def test_what_was_recorded_is_used_and_counted() -> None:
    recorder = Recorder(lambda compute: lambda: compute() + 1)
    assert recorder.record(lambda: torch.ones(1))().item() == 2
    assert (recorder.num_graphs, recorder.failure) == (1, None)


@torch.inference_mode()
def test_what_fits_into_no_size_is_left_to_others(model: Phi4Multimodal) -> None:
    cache = KVCache.for_model(
        model.config, num_slots=3, max_tokens=64, dtype=torch.float32, device="cpu"
    )
    steps = FixedSteps(model.decoder, cache, attend_fixed, Recorder(None), 2)
    embeds = torch.zeros(257, model.config.hidden_size)
    assert steps.read_tail("none", 0, 0, embeds) is None
    assert steps.read_tail("none", 0, 60, embeds[:5]) is None, "16 do not fit behind 60"
    assert steps.decode("none", [0] * 3, [0] * 3, [0] * 3) is None, "2 go together"


@torch.inference_mode()
def test_a_tail_leaves_nothing_of_the_longer_one_before_it(model: Phi4Multimodal) -> None:
    """Whatever the rest of the buffer held, even what is no number."""

    def cache() -> KVCache:
        return KVCache.for_model(
            model.config, num_slots=3, max_tokens=64, dtype=torch.float32, device="cpu"
        )

    def logits(*tails: Tensor) -> Tensor:
        steps = FixedSteps(model.decoder, cache(), attend_fixed, Recorder(None), 2)
        found = [steps.read_tail("none", n, 0, tail) for n, tail in enumerate(tails)]
        assert found[-1] is not None
        return found[-1].clone()

    generator = torch.Generator().manual_seed(1)
    short = torch.randn(5, model.config.hidden_size, generator=generator)
    broken = torch.full((16, model.config.hidden_size), torch.nan)
    assert torch.equal(logits(broken, short), logits(short, short))


def test_the_next_user_of_a_row_finds_nothing_of_the_last_one(
    backends: tuple[NativeBackend, NativeBackend],
) -> None:
    """Also if that was no number: prompts are read in chunks and written side by side."""

    def replies(backend: NativeBackend) -> list[list[int]]:
        desk = Desk(backend, CONFIG)
        for number, length in enumerate((150, 3, 20)):
            desk.order(link.Open(number, "none"))
            desk.order(link.Append(number, [link.TokensPart([*range(5, 5 + length)])]))
            desk.order(link.Generate(number, 1, link.Sampling(max_tokens=6)))
        desk.run()
        return [desk.ids(number) for number in range(3)]

    for backend in backends:
        fresh = replies(backend)
        for cached in (backend._cache.keys, backend._cache.values):
            cached[:, : CONFIG.num_slots] = torch.nan
        assert replies(backend) == fresh
        assert all(len(ids) == 6 for ids in fresh)


def test_the_spare_slot_is_nobodys(backends: tuple[NativeBackend, NativeBackend]) -> None:
    plain, fixed = backends
    assert (plain._cache.num_slots, fixed._cache.num_slots) == (4, 5)
    assert fixed._fixed is not None
    assert fixed._fixed.batch_sizes == (1, 2, 4), "what the three slots need"


def test_the_background_is_answered_beside_others_with_the_same_tokens(
    backends: tuple[NativeBackend, NativeBackend],
) -> None:
    """Its row lies between those of the slots and the spare one."""
    replies = []
    for backend in backends:
        desk = Desk(backend, CONFIG)
        for number in range(2):
            is_background = number == 0
            desk.order(link.Open(number, "none", is_background=is_background))
            desk.order(link.Append(number, [link.TokensPart([5, 6, 7])]))
            desk.order(link.Generate(number, 1, link.Sampling(max_tokens=6)))
        desk.run()
        replies += [desk.ids(0), desk.ids(1)]
    assert len(replies[0]) == 6
    assert replies == [replies[0]] * 4


def test_a_written_prompt_is_answered_with_the_same_tokens(
    backends: tuple[NativeBackend, NativeBackend],
) -> None:
    adapter, parts = prompts()["text"]
    plain, fixed = (reply(backend, CONFIG, adapter, parts) for backend in backends)
    assert fixed == plain


def test_the_next_step_is_begun_before_its_token_was_read(
    backends: tuple[NativeBackend, NativeBackend],
) -> None:
    adapter, parts = prompts()["text"]
    _, fixed = backends
    steps = fixed._fixed
    assert steps is not None
    before = steps.num_ahead
    assert len(reply(fixed, CONFIG, adapter, parts)) == 24
    assert steps.num_ahead - before == 22, "the first is of the prompt, the second is begun"


def test_a_step_begun_on_what_was_taken_back_is_not_used(
    backends: tuple[NativeBackend, NativeBackend],
) -> None:
    """The same row, position and length as before, and other words there."""
    replies = []
    for backend in backends:
        desk = Desk(backend, CONFIG)
        desk.order(link.Open(1, "none"), link.Mark(1, 0))
        for number, ids in enumerate(([5, 6, 7], [9, 8, 7]), start=1):
            desk.order(link.Append(1, [link.TokensPart(ids)]))
            desk.order(link.Generate(1, number, link.Sampling(max_tokens=3)))
            desk.run()
            if number == 1:
                desk.order(link.Rollback(1, 0), link.Mark(1, 0))
        replies.append([desk.ids(1, 1), desk.ids(1, 2)])
    assert replies[0] == replies[1]


@pytest.mark.parity
@pytest.mark.parametrize("kind", prompts())
def test_batches_that_were_filled_up_reply_the_same_tokens(
    backends: tuple[NativeBackend, NativeBackend], kind: str
) -> None:
    """Three sequences in a batch of four; all end at different times."""
    replies = []
    for backend in backends:
        desk = Desk(backend, CONFIG)
        for number, num_tokens in enumerate((9, 24, 17)):
            desk.ask(number, *prompts()[kind], num=num_tokens)
        desk.run()
        replies.append([desk.ids(number) for number in range(3)])
    assert replies[0] == replies[1]
    assert len(replies[0][1]) == 24
