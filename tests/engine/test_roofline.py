import pytest
import torch

from assistant.engine.roofline import Roofline, best_of, measure


def test_the_slower_of_moving_and_computing_bounds_the_time() -> None:
    rates = Roofline(bytes_per_s=10.0, flops_per_s=100.0)
    assert rates.bound_s(20, 100) == 2.0
    assert rates.bound_s(20, 300) == 3.0


def test_work_is_run_once_to_warm_up_and_then_timed() -> None:
    runs: list[int] = []
    assert 0 <= best_of(lambda: runs.append(1), "cpu", repeats=3) < 1
    assert len(runs) == 4


@pytest.mark.parity
def test_a_machine_has_rates() -> None:
    rates = measure("cpu", torch.float32, repeats=1)
    assert rates.bytes_per_s > 1e8
    assert rates.flops_per_s > 1e8
