"""
What this machine can do at best: bytes read and multiplications per second, measured.

Writing a token reads every weight of the decoder once, so bytes over bandwidth bounds it
from below; reading a long prompt is bound by multiplications. Knows no model.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

BUFFER_BYTES = {"cpu": 128 * 2**20}
"""Several times the largest cache of common processors."""
BUFFER_BYTES_ELSEWHERE = 2 * 2**30
GEMM_SIZE = {"cpu": 1024}
GEMM_SIZE_ELSEWHERE = 8192


@dataclass(frozen=True, slots=True)
class Roofline:
    """Best rates seen on one device with the threads in force."""

    bytes_per_s: float
    flops_per_s: float

    def bound_s(self, num_bytes: float, num_flops: float) -> float:
        """Return the least time that moving and computing so much takes."""
        return max(num_bytes / self.bytes_per_s, num_flops / self.flops_per_s)


def measure(device: str, dtype: torch.dtype, repeats: int = 5) -> Roofline:
    """Measure a device: a second on a slow core."""
    kind = torch.device(device).type
    num_bytes = BUFFER_BYTES.get(kind, BUFFER_BYTES_ELSEWHERE)
    buffer = torch.ones(num_bytes // 4, device=device)
    read_s = best_of(lambda: buffer.sum(), device, repeats)
    size = GEMM_SIZE.get(kind, GEMM_SIZE_ELSEWHERE)
    left, right = torch.ones(2, size, size, device=device, dtype=dtype)
    multiply_s = best_of(lambda: left @ right, device, repeats)
    return Roofline(num_bytes / read_s, 2 * size**3 / multiply_s)


def best_of(
    work: Callable[[], object], device: str, repeats: int, num_warm_ups: int = 1
) -> float:
    """Return the least time in seconds that ``work`` took after it was warm."""
    for _ in range(num_warm_ups):
        work()
    times = []
    for _ in range(repeats):
        synchronize(device)
        begin = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - begin)
    return min(times)


def synchronize(device: str) -> None:
    """Wait until the device has done what it was asked."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
