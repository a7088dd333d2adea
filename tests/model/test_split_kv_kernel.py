"""The Triton kernel against its plain twin, on a CPU, in Triton's interpreter."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# The interpreter is chosen when Triton is imported, so it gets a process of its own.
SCRIPT = """
import sys, torch
from assistant.model.attention import attend_fixed
from assistant.model.split_kv_kernel import attend_split
heads, kv_heads, dim, max_tokens, *positions = map(int, sys.argv[1:])
draw = torch.Generator().manual_seed(dim)
queries = torch.randn(len(positions), heads, dim, generator=draw)
cache = torch.randn(2, 5, kv_heads, max_tokens, dim, generator=draw)
slots = torch.tensor([4, 0, 2, 3][: len(positions)])
at = torch.tensor(positions)
for slot, position in zip(slots, positions):  # what lies behind the end is never read
    cache[:, slot, :, position + 1 :] = torch.nan
found = attend_split(queries, cache[0], cache[1], slots, at)
wanted = attend_fixed(queries, *cache.nan_to_num(), slots, at)
assert found.shape == wanted.shape == (len(positions), heads * dim)
print(float((found - wanted).abs().max()))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed"
)
@pytest.mark.parametrize(
    "sizes",
    [
        "6 2 16 40 0 39",  # one split, the first and the last position
        "24 8 128 600 255 256 511 599",  # the real model's heads; ends at splits' edges
        "4 4 32 300 3 270",  # as many key heads as query heads
    ],
)
def test_the_kernel_gives_what_its_plain_twin_gives(sizes: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *sizes.split()],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-4
