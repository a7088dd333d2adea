"""What was let go of goes back to the system, cycles and pieces between others."""

import gc
import subprocess
import sys
import weakref

import pytest

from assistant.gateway.heap import tidy

PROGRAM = """
import ctypes, os
from assistant.gateway.heap import keep_for_good, tidy
libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_trim"):
    raise SystemExit("no glibc")
keep_for_good()
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def rss():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
size = 64 * 1024
blocks = [libc.malloc(size) for _ in range(512)]
for block in blocks:
    ctypes.memset(block, 1, size)
for block in blocks[:-1]:
    libc.free(block)
before = rss()
tidy()
print(before - rss())
"""
"""Says how many bytes went back of 32 MB, of which the last block is in use."""


def test_what_was_freed_below_a_block_in_use_goes_back() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "no glibc" in done.stderr:
        pytest.skip("needs glibc")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 24 * 2**20


def test_what_refers_only_to_itself_is_freed() -> None:
    class Node:
        def __init__(self) -> None:
            self.myself = self

    gc.disable()
    try:
        seen = weakref.ref(Node())
        assert seen() is not None
        tidy()
        assert seen() is None
    finally:
        gc.enable()
