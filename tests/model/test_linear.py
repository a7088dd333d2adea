import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the name everybody knows it by)

from assistant.model.linear import INT8_ROWS, THIN_ROWS, Int8Matrix, Matrix, multiply


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_rows", [1, THIN_ROWS.start, THIN_ROWS.stop - 1, 40])
def test_a_product_is_that_of_linear_whatever_the_number_of_rows(num_rows: int) -> None:
    x, weight = drawn(num_rows, 48), drawn(80, 48, seed=1)
    out = multiply(x, weight)
    assert out.shape == (num_rows, 80)
    assert out.is_contiguous()
    torch.testing.assert_close(out, F.linear(x, weight), atol=1e-5, rtol=1e-5)


def test_a_matrix_keeps_the_type_of_its_input() -> None:
    matrix = Matrix(8, 12).to(torch.bfloat16).requires_grad_(False)
    assert matrix(torch.ones(5, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_int8_weights_are_off_by_half_a_step_at_most() -> None:
    weight = drawn(20, 64) * torch.logspace(-3, 3, 20)[:, None]
    rounded = Int8Matrix.quantize(weight)
    assert rounded.weight.dtype == torch.int8
    error = (rounded.weight * rounded.scale[:, None] - weight).abs()
    assert (error <= rounded.scale[:, None] * 0.5001).all()
    greatest = weight.abs().amax(dim=1) / 254
    torch.testing.assert_close(rounded.scale / 2, greatest)


def test_a_channel_of_zeros_stays_zero() -> None:
    rounded = Int8Matrix.quantize(torch.zeros(3, 16))
    assert torch.equal(rounded(torch.ones(2, 16)), torch.zeros(2, 3))


@pytest.mark.parametrize("num_rows", [1, INT8_ROWS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_for_few_rows_is_the_plain_product_up_to_bfloat16(
    num_rows: int, dtype: torch.dtype
) -> None:
    rounded = Int8Matrix.quantize(drawn(96, 128))
    x = drawn(num_rows, 128, seed=1).to(dtype)
    fast, plain = rounded(x), rounded.plain(x)
    assert fast.dtype == plain.dtype == dtype
    # 8 bits of the input and 8 of the output, each off by half a unit in the last place.
    difference = (fast - plain).float().square().mean().sqrt()
    assert difference < 2**-8 * plain.float().std()


def test_many_rows_take_the_plain_path() -> None:
    rounded = Int8Matrix.quantize(drawn(16, 32))
    x = drawn(INT8_ROWS + 1, 32, seed=1)
    assert torch.equal(rounded(x), rounded.plain(x))
