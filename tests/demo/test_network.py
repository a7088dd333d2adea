import copy

import numpy as np
import pytest
import torch

from assistant.demo import network
from assistant.demo.network import Network, demo_config
from assistant.model.images import prepare_image
from assistant.model.kv_cache import KVCache


@pytest.fixture(scope="module")
def net() -> Network:
    torch.manual_seed(0)
    built = Network(demo_config()).eval().requires_grad_(False)
    torch.nn.init.normal_(built.audio_encoder.encoder.relative_attention_bias_layer
                          .bias_values.weight)  # fmt: skip
    return built


def test_hears_a_batch_as_it_hears_one_recording_at_a_time(net: Network) -> None:
    features = torch.rand(3, 101, 80) * 15
    batched = net.audio_encoder.project(
        network.hear(net.audio_encoder.encoder, features), "vision"
    )
    for row, recording in zip(batched, features, strict=True):
        alone = net.audio_encoder(recording, "vision")
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (128, 128), (160, 90)])
@pytest.mark.parametrize("max_crops", [1, 4])
def test_sees_a_batch_as_it_sees_one_picture_at_a_time(
    net: Network, size: tuple[int, int], max_crops: int
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, size[1], size[0], 3), dtype=np.uint8)
    images = [prepare_image(picture, max_crops, 168, 14) for picture in pixels]
    batched = network.see(net.image_encoder, network.stack(images))
    for row, image in zip(batched, images, strict=True):
        torch.testing.assert_close(row, net.image_encoder(image), atol=1e-5, rtol=1e-4)


def test_looks_closely_as_at_a_whole_picture(net: Network) -> None:
    tower = net.image_encoder.img_processor
    pixels = torch.rand(2, 3, 168, 168) * 2 - 1
    ids = torch.arange(12)
    close = network.look_closely(tower, pixels, ids, ids)
    torch.testing.assert_close(close, network.look(tower, pixels, 12, 12))


def test_reads_with_an_adapter_as_with_its_product_added(net: Network) -> None:
    adapter = network.adapter_of(net, "vision")
    with torch.no_grad():
        for up in adapter.up:
            up.normal_(std=0.02)
    embeds = torch.randn(2, 9, demo_config().hidden_size)
    adapted = network.read_adapted(net, embeds, "vision")
    merged = copy.deepcopy(net.decoder)
    merged.load_state_dict(adapter.merged(net.decoder), strict=False)
    torch.testing.assert_close(adapted, network.read(merged, embeds))
    assert not torch.allclose(adapted, network.read(net.decoder, embeds), atol=1e-3)


def test_reads_a_batch_as_the_cache_reads_one_sequence_at_a_time(net: Network) -> None:
    config = demo_config()
    cache = KVCache.for_model(
        config, num_slots=1, max_tokens=32, dtype=torch.float32, device="cpu"
    )
    embeds = torch.randn(2, 20, config.hidden_size)
    batched = network.read(net.decoder, embeds)
    for row, sequence in zip(batched, embeds, strict=True):
        alone = net.decoder.prefill(sequence, cache, 0, 0)
        torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)


def test_fits_into_the_package() -> None:
    num_bytes = sum(p.numel() for p in Network(demo_config()).parameters()) * 4
    assert num_bytes < 20e6
