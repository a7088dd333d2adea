"""The trained model that comes with the package, as anybody gets it."""

import time

import pytest
import torch

from assistant.demo import ask
from assistant.model.phi4 import Phi4Multimodal
from assistant.models_on_disk import SHIPPED_DEMO


@pytest.fixture(scope="module")
def demo() -> Phi4Multimodal:
    return Phi4Multimodal.load(SHIPPED_DEMO, device="cpu", dtype=torch.float32)


def test_is_small_and_loads_at_once() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_DEMO.rglob("*")) < 20e6
    started = time.monotonic()
    model = Phi4Multimodal.load(SHIPPED_DEMO, device="cpu", dtype=torch.float32)
    for adapter in model.adapters:
        model.decoder(adapter)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("Hello", "Hello! How can I help you?"),
        ("turn on the radio", "The radio is on."),
        ("What colour is this?", "I have no picture."),
    ],
)
def test_answers_what_is_typed(demo: Phi4Multimodal, typed: str, answer: str) -> None:
    assert ask.reply(demo, ask.typed_prompt(demo, typed)) == answer
