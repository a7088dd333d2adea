from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch

from assistant.demo import ask, checkpoint, network
from assistant.demo.network import Network, demo_config
from assistant.model.audio import Projector
from assistant.model.images import prepare_image
from assistant.model.phi4 import Phi4Multimodal


@pytest.fixture(scope="module")
def net() -> Network:
    torch.manual_seed(0)
    built = Network(demo_config()).eval().requires_grad_(False)
    torch.nn.init.normal_(network.adapter_of(built, "speech").up[0], std=0.1)
    # As bfloat16 stores them, so that nothing is lost on the way.
    return built.to(torch.bfloat16).float()


@pytest.fixture(scope="module")
def loaded(
    net: Network,
    tokenizer: tokenizers.Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Phi4Multimodal:
    folder: Path = tmp_path_factory.mktemp("demo") / "model"
    checkpoint.write(folder, net, tokenizer)
    return Phi4Multimodal.load(folder, device="cpu", dtype=torch.float32)


def test_the_ordinary_loader_reads_both_senses(
    net: Network, loaded: Phi4Multimodal
) -> None:
    features = torch.rand(1, 60, 80) * 15
    hidden = network.hear(net.audio_encoder.encoder, features)
    assert loaded.audio_encoder is not None
    torch.testing.assert_close(
        loaded.audio_encoder(features[0], "speech"),
        net.audio_encoder.project(hidden, "speech")[0],
        atol=1e-4,
        rtol=1e-3,
    )
    picture = prepare_image(np.zeros((90, 120, 3), np.uint8), 1, 168, 14)
    assert loaded.image_encoder is not None
    torch.testing.assert_close(
        loaded.image_encoder(picture), net.image_encoder(picture), atol=1e-5, rtol=1e-4
    )


def test_the_loader_merges_the_adapters(net: Network, loaded: Phi4Multimodal) -> None:
    assert loaded.adapters == {"none", "speech", "vision"}
    plain = loaded.decoder("none").state_dict()
    modes: tuple[Projector, ...] = ("speech", "vision")
    for mode in modes:
        wanted = plain | network.adapter_of(net, mode).merged(net.decoder)
        for name, weight in loaded.decoder(mode).state_dict().items():
            torch.testing.assert_close(weight, wanted[name], atol=1e-6, rtol=1e-5)
    changed = "layers.0.self_attn.qkv_proj.weight"
    speech = loaded.decoder("speech").state_dict()
    assert not torch.equal(speech[changed], plain[changed])


def test_is_said_to_mean_something(loaded: Phi4Multimodal) -> None:
    assert not loaded.config.has_random_weights


def test_untrained_weights_answer_something(loaded: Phi4Multimodal) -> None:
    assert isinstance(ask.reply(loaded, ask.typed_prompt(loaded, "hello")), str)
