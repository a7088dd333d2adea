"""Whether there is a kernel is found out by trying, and the reason is told if not."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from assistant.model.attention import Attend, attend_fixed
from assistant.model.split_kv import find_kernel

SIZES = 6, 2, 16, torch.float32
NAME = "assistant.model.split_kv_kernel"


def with_kernel(monkeypatch: pytest.MonkeyPatch, kernel: Attend) -> Attend | str:
    """Look for a kernel where this one is installed."""
    module = ModuleType(NAME)
    module.attend_split = kernel  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, NAME, module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    return find_kernel("cpu", *SIZES)


@pytest.mark.parametrize("head_dim", [8, 24, 96])
def test_heads_that_are_no_power_of_two_have_no_kernel(head_dim: int) -> None:
    found = find_kernel("cpu", 6, 2, head_dim, torch.float32)
    assert found == f"heads of {head_dim} are no power of two from 16 on"


def test_without_triton_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert find_kernel("cpu", *SIZES) == "triton is not installed"


def test_a_kernel_that_gives_what_its_twin_gives_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert with_kernel(monkeypatch, attend_fixed) is attend_fixed


def test_a_kernel_that_fails_is_told_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*tensors: Tensor) -> Tensor:
        raise RuntimeError("no kernel image is available")

    assert with_kernel(monkeypatch, broken) == "RuntimeError: no kernel image is available"


def test_a_kernel_that_miscalculates_is_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(*tensors: Tensor) -> Tensor:
        queries, keys, values, slots, positions = tensors
        return attend_fixed(queries, keys, values, slots, positions - 1)

    def no_number(*tensors: Tensor) -> Tensor:
        return attend_fixed(*tensors) * torch.nan

    for kernel in (wrong, no_number):
        found = with_kernel(monkeypatch, kernel)
        assert isinstance(found, str)
        assert found.startswith("ArithmeticError: its output differs")
