"""
How long tests wait for what must come, and how they do it.

A bound here tells "late" from "never" and nothing else, for the machine may be busy with
other things: how fast something is, the benchmarks say.
"""

import time
from collections.abc import Callable

PATIENCE_S = 60.0
POLL_S = 0.02


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Ask until it is so; fail with ``what`` it was waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(POLL_S)
