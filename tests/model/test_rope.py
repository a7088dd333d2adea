import math

import pytest
import torch

from assistant.model.config import RopeConfig
from assistant.model.rope import LongRope, rotate

CONFIG = RopeConfig(
    theta=10_000.0,
    rotary_dims=4,
    short_factor=(1.0, 1.0),
    long_factor=(2.0, 8.0),
    original_max_positions=4096,
    max_positions=131_072,
)
FLOAT = torch.zeros(())


def test_the_scale_is_that_of_the_published_model() -> None:
    assert LongRope(CONFIG, head_dim=6).scale == pytest.approx(1.190238, abs=1e-6)


def test_short_factors_hold_up_to_the_original_bound() -> None:
    rope = LongRope(CONFIG, head_dim=6)
    cos, _ = rope.for_span(4090, 4096, FLOAT)
    assert cos[3, 0, 0].item() == pytest.approx(rope.scale * math.cos(4093), abs=2e-4)


def test_one_token_beyond_the_bound_turns_the_whole_span_long() -> None:
    rope = LongRope(CONFIG, head_dim=6)
    cos, sin = rope.for_span(0, 4097, FLOAT)
    assert cos[3, 0, 0].item() == pytest.approx(rope.scale * math.cos(3 / 2), abs=1e-6)
    assert sin[3, 0, 1].item() == pytest.approx(rope.scale * math.sin(3 / 800), abs=1e-6)


def test_single_positions_agree_with_spans_that_end_there() -> None:
    rope = LongRope(CONFIG, head_dim=6)
    positions = [0, 7, 4095, 4096, 5000]
    batch = rope.for_positions(torch.tensor(positions), FLOAT)
    for row, position in enumerate(positions):
        span = rope.for_span(position, position + 1, FLOAT)
        for one, many in zip(span, batch, strict=True):
            assert torch.equal(one[0], many[row])


def test_rotation_turns_pairs_and_passes_the_rest_through() -> None:
    heads = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]])  # pairs (1, 3) and (2, 4)
    cos = torch.tensor([[[0.0, 1.0, 0.0, 1.0, 1.0, 1.0]]])
    sin = torch.tensor([[[1.0, 0.0]]])
    rotated = rotate(heads, cos, sin)
    assert rotated.tolist() == [[[-3.0, 2.0, 1.0, 4.0, 5.0, 6.0]]]


def test_frequencies_are_float32_whatever_the_weights_are() -> None:
    cos, _ = (
        LongRope(CONFIG, head_dim=6)
        .to(torch.bfloat16)
        .for_span(4000, 4001, torch.zeros(()))
    )
    assert cos.dtype == torch.float32
    assert cos[0, 0, 0].item() == pytest.approx(1.190238 * math.cos(4000), abs=2e-4)
