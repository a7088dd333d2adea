import pytest
import torch

from assistant.model.fp8 import GREATEST, Fp8Matrix, has_fp8


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_cpu_has_no_units_for_fp8() -> None:
    assert not has_fp8("cpu")


def test_weights_are_off_by_a_sixteenth_at_most() -> None:
    weight = drawn(32, 64) * torch.logspace(-3, 3, 32)[:, None]
    rounded = Fp8Matrix.quantize(weight)
    values = rounded.weight.float() * rounded.scale.t()
    # Three bits of mantissa; below 2^-6 steps are even.
    least = rounded.scale.t() * 2.0**-9
    assert ((values - weight).abs() <= weight.abs() / 16 + least).all()
    greatest = weight.abs().amax(dim=1, keepdim=True)
    torch.testing.assert_close(rounded.scale.t() * GREATEST, greatest)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_product_of_8_bit_floats_is_the_plain_one_up_to_the_rounding_of_its_input(
    dtype: torch.dtype,
) -> None:
    rounded = Fp8Matrix.quantize(drawn(96, 128))
    x = drawn(3, 128, seed=1).to(dtype)
    fast, plain = rounded(x), rounded.plain(x)
    assert fast.dtype == plain.dtype == dtype
    assert (fast - plain).float().square().mean().sqrt() < 0.04 * plain.float().std()


def test_zeros_stay_zero() -> None:
    rounded = Fp8Matrix.quantize(torch.zeros(16, 32))
    assert torch.equal(rounded(torch.zeros(2, 32)), torch.zeros(2, 16))
