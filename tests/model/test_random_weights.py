import pytest
import torch

from assistant.errors import CheckpointError
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.random_weights import (
    NAMES,
    random_checkpoint,
    random_config,
    random_tokenizer,
)

NUM_PARAMETERS = {"tiny": (0.5e6, 2e6), "117m": (112e6, 122e6)}


@pytest.mark.parametrize("name", NAMES)
def test_a_named_size_has_as_many_parameters_as_it_says(name: str) -> None:
    checkpoint = random_checkpoint(random_config(name), "cpu", torch.float32)
    # The checkpoint's own class says what it would draw; nothing is drawn here.
    shapes = [getattr(tensor, "shape") for tensor in checkpoint.tensors.values()]  # noqa: B009
    total = sum(torch.Size(shape).numel() for shape in shapes)
    low, high = NUM_PARAMETERS.get(name, (4.5e9, 4.8e9))  # without adapters
    assert low <= total <= high


def test_a_random_model_is_built_without_any_file_and_twice_the_same() -> None:
    config = random_config("tiny")
    tokenizer = random_tokenizer(config)

    def logits() -> torch.Tensor:
        checkpoint = random_checkpoint(config, "cpu", torch.float32)
        model = Phi4Multimodal(checkpoint, tokenizer, "cpu", torch.float32)
        assert model.adapters == {"none"}
        decoder = model.decoder("none")
        return decoder.logits(decoder.embed(torch.arange(4)))

    assert torch.equal(logits(), logits())


def test_an_unknown_name_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(CheckpointError, match="117m"):
        random_config("118m")
