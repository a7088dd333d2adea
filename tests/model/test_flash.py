"""Whether there is flash attention is found out by trying; if not, the reason is told."""

import pytest
import torch
from torch import Tensor

from assistant.model import flash
from assistant.model.attention import AttendLatest, attend_latest
from assistant.model.flash import find_flash

SIZES = 6, 2, 16
BFLOAT16 = torch.bfloat16


def with_kernels(
    monkeypatch: pytest.MonkeyPatch, *kernels: AttendLatest
) -> AttendLatest | str:
    named = {f"number {number}": kernel for number, kernel in enumerate(kernels)}
    monkeypatch.setattr(flash, "KERNELS", named)
    return find_flash("cpu", *SIZES, BFLOAT16)


def broken(*tensors: Tensor) -> Tensor:
    raise ImportError("no such package")


def exact(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return attend_latest(queries, keys, values)


def test_the_first_that_gives_what_its_twin_gives_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert with_kernels(monkeypatch, broken, exact, attend_latest) is exact


def test_without_any_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_kernels(monkeypatch, broken, broken)
    reason = "ImportError: no such package"
    assert found == f"number 0: {reason}; number 1: {reason}"


def test_one_that_takes_the_first_queries_for_the_last_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def aligned_at_the_start(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        count = len(queries)
        return attend_latest(queries, keys[:, :count], values[:, :count])

    def no_number(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return attend_latest(queries, keys, values) * torch.nan

    for wrong in (aligned_at_the_start, no_number):
        found = with_kernels(monkeypatch, wrong)
        assert isinstance(found, str)
        assert found.startswith("number 0: ArithmeticError: its output differs")


def test_only_types_of_16_bits_have_it() -> None:
    assert find_flash("cpu", *SIZES, torch.float32) == "torch.float32 has not 16 bits"


@pytest.mark.gpu
@torch.inference_mode()
def test_on_a_gpu_one_of_them_works() -> None:
    """With the heads of the real model."""
    assert not isinstance(find_flash("cuda", 24, 8, 128, BFLOAT16), str)
