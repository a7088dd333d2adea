import torch

from assistant.model.config import AudioConfig
from assistant.model.conformer import ConformerBlock, FeedForward, RelativeBias, Subsampling
from tests.model.reference import randomise

CONFIG = AudioConfig(
    hidden_size=8,
    intermediate_size=12,
    num_blocks=1,
    num_heads=2,
    num_mels=20,
    conv_channels=4,
    depthwise_channels=8,
    kernel_size=4,
    time_reduction=4,
    bias_max_distance=3,
)


def test_bias_depends_on_the_distance_alone_and_is_clipped() -> None:
    bias = RelativeBias(CONFIG)
    randomise(bias)
    values = bias.bias_values.weight.detach()  # [6, heads], distances -3 to 2
    pairs = bias(6).detach()
    assert pairs.shape == (2, 6, 6)
    for i in range(6):
        for j in range(6):
            distance = max(-3, min(j - i, 2))
            assert torch.equal(pairs[:, i, j], values[distance + 3])


def test_the_first_half_of_a_feed_forward_is_gated_by_the_second() -> None:
    part = FeedForward(CONFIG)
    randomise(part)
    with torch.no_grad():
        part.gate_up_proj.weight[12:] = 0
        part.gate_up_proj.bias[12:] = 0  # silu(0) = 0 lets nothing pass
        x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
        assert torch.equal(part(x), part.down_proj.bias.expand(5, 8))


def test_convolution_hears_the_past_only() -> None:
    block = ConformerBlock(CONFIG)
    randomise(block)
    x = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[5] += torch.arange(8)
    with torch.no_grad():
        differs = (block.conv(x) - block.conv(changed)).abs().amax(dim=1) > 1e-6
    assert differs.tolist() == [5 <= frame < 9 for frame in range(10)]


def test_subsampling_rounds_up_in_time_and_frequency() -> None:
    part = Subsampling(CONFIG)
    assert part.out.in_features == 4 * 5
    for num_frames, expected in ((1, 1), (4, 1), (5, 2), (8, 2), (9, 3)):
        assert part(torch.zeros(num_frames, 20)).shape == (expected, 8)
