import time

import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine import bench
from assistant.engine.native_backend import NativeBackend
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.random_weights import (
    random_checkpoint,
    random_config,
    random_tokenizer,
)

CONFIG = EngineConfig(num_slots=2, max_sequence_tokens=1024)
LOAD = bench.make_load(224, 4, audio_s=0.5)


@pytest.fixture(scope="module")
def stand() -> bench.Stand:
    config = random_config("tiny")
    checkpoint = random_checkpoint(config, "cpu", torch.float32)
    model = Phi4Multimodal(checkpoint, random_tokenizer(config), "cpu", torch.float32)
    backend = NativeBackend(model, "tiny", CONFIG)
    backend.stop_ids = frozenset()
    return bench.Stand(backend, CONFIG)


def test_a_turn_is_timed_from_its_order_to_its_tokens(stand: bench.Stand) -> None:
    for turn in (bench.cold_turn, bench.early_turn):
        begin = time.perf_counter()
        timing = turn(stand, LOAD)
        whole_s = time.perf_counter() - begin
        assert 0 < timing.first_s < whole_s
        assert 0 < timing.first_s + 3 * timing.per_token_s < whole_s


def test_every_turn_of_a_conversation_has_its_time(stand: bench.Stand) -> None:
    assert len(bench.conversation(stand, LOAD, num_turns=3)) == 3


def test_sessions_that_write_together_have_one_step(stand: bench.Stand) -> None:
    short = bench.make_load(224, 3, audio_s=0.5)
    assert 0 < bench.decode_together(stand, short, num_sessions=2) < 1


def test_the_median_is_taken_of_each_figure() -> None:
    timings = [bench.Timing(1, 9), bench.Timing(2, 7), bench.Timing(5, 8)]
    assert bench.median(timings) == bench.Timing(2, 8)
