import pytest
import torch

from assistant.engine.bench import make_load
from assistant.model.random_weights import (
    random_checkpoint,
    random_config,
    random_tokenizer,
)

pytestmark = pytest.mark.parity


def test_stock_generate_answers_the_same_load() -> None:
    from assistant.engine.bench_baseline import Baseline

    config = random_config("tiny")
    checkpoint = random_checkpoint(config, "cpu", torch.float32)
    load = make_load(224, 3, audio_s=0.5)
    baseline = Baseline(checkpoint, random_tokenizer(config), load, "cpu", torch.float32)
    timing = baseline.turn()
    assert timing.first_s > timing.per_token_s > 0
