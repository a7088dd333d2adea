import time

import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine import precision
from assistant.engine.native_backend import NativeBackend
from assistant.engine.precision import Precision, choose_precision
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.random_weights import (
    random_checkpoint,
    random_config,
    random_tokenizer,
)
from assistant.wire import link
from tests.engine.model_prompts import photo, reply, speech, turn

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
CONFIG = EngineConfig(num_slots=2, max_sequence_tokens=512)


@pytest.fixture
def model() -> Phi4Multimodal:
    config = random_config("tiny")
    checkpoint = random_checkpoint(config, "cpu", FLOAT32)
    return Phi4Multimodal(checkpoint, random_tokenizer(config), "cpu", FLOAT32)


def test_a_precision_names_its_types_the_most_common_first() -> None:
    assert str(Precision.uniform(BFLOAT16)) == "bfloat16"
    mixed = Precision(FLOAT32, FLOAT32, FLOAT32, BFLOAT16, FLOAT32)
    assert str(mixed) == "float32+bfloat16"


def test_a_model_that_fits_the_caches_is_not_tried(
    model: Phi4Multimodal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "faster", None)
    assert choose_precision(model) == Precision.uniform(FLOAT32)


def test_a_trial_chooses_by_time_and_leaves_the_model_as_it_was(
    model: Phi4Multimodal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "SMALL_BYTES", 0)
    decoder = model.decoder("none")
    # Whatever is faster here: only the shape of the answer is certain.
    chosen = choose_precision(model)
    assert isinstance(chosen, Precision)
    assert model.decoder("none") is decoder
    assert model.image_encoder is not None
    assert model.image_encoder.img_projection_up.weight.dtype == FLOAT32


@pytest.mark.parametrize(
    ("short_s", "expected"), [(0.0, BFLOAT16), (0.009, FLOAT32), (0.02, FLOAT32)]
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, short_s: float, expected: torch.dtype
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def takes(seconds: float) -> precision.Work:
        def work() -> None:
            clock[0] += seconds

        return work

    assert precision.faster(takes(0.01), takes(short_s)) == expected


@pytest.mark.parity
def test_a_backend_in_mixed_precision_replies_and_exact_parts_are_unchanged(
    model: Phi4Multimodal,
) -> None:
    backend = NativeBackend(model, "tiny", CONFIG)
    backend.stop_ids = frozenset()
    parts: list[link.Part] = turn(photo(), speech())
    exact = reply(backend, CONFIG, "none", parts)
    backend.use(Precision(BFLOAT16, FLOAT32, FLOAT32, BFLOAT16, FLOAT32))
    backend.warm_up()
    assert backend.dtype == "float32+bfloat16"
    assert len(reply(backend, CONFIG, "none", parts)) == len(exact)
    backend.use(Precision.uniform(FLOAT32))
    assert reply(backend, CONFIG, "none", parts) == exact
