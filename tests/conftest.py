"""What holds for all tests: their threads, their time, and what need not be imported."""

import gc
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.wire import emitted

# Before torch and BLAS are imported: tiny matrices on several threads mostly wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HYPOTHESIS_FEW = 10
"""Examples of a property in the unit tests; elsewhere there are as many as usual."""

# How long one example takes says nothing on a machine that others use as well.
settings.register_profile(
    "many",
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("few", settings.get_profile("many"), max_examples=HYPOTHESIS_FEW)

UNIT_CPU_S = 60.0
"""What the unit tests may take of one core."""

_TESTS = Path(__file__).parent
_EVERY_EVENT = _TESTS / "wire" / "test_every_event.py"
_MARKERS = {
    _TESTS / "clients": ("clients",),
    _TESTS / "service": ("service", "browser"),
    _TESTS / "web": ("browser",),
    _TESTS / "wire" / "test_server_events.py": ("clients",),
    _EVERY_EVENT: ("clients",),
    _TESTS / "model" / "test_text_parity.py": ("parity",),
    _TESTS / "engine" / "test_transformers_backend.py": ("parity",),
    _TESTS / "engine" / "test_parity.py": ("parity",),
}
"""Where every test has one of these markers."""


def is_short(expression: str) -> bool:
    """Is this a run that leaves the tests of many rounds out?"""
    return "not parity" in expression


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("few" if is_short(config.option.markexpr) else "many")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what ``-m`` deselects as a whole: stock clients take seconds to import."""
    markers = _MARKERS.get(collection_path)
    expression = str(config.getoption("markexpr"))
    if markers and all(f"not {marker}" in expression for marker in markers):
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Mark what draws many examples, and judge last what all other tests saw.

    What runs in real time or drives programs of other people is tried once more when it
    fails: a browser that a busy machine leaves waiting misses deadlines of its own. The
    summary names what needed its second try.
    """
    for item in items:
        if any(map(item.get_closest_marker, ("service", "browser", "clients"))):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if not is_short(config.option.markexpr):
        for item in items:
            if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
                # With all its examples a property belongs to ``-m parity`` as well.
                item.add_marker("parity")
    items.sort(key=lambda item: item.path == _EVERY_EVENT)


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(item.path == _EVERY_EVENT for item in session.items):
        emitted.keep()
    # What was imported is never garbage, and there is much of it to look through.
    gc.freeze()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what the unit tests cost; their wall time depends on who else is busy."""
    if is_short(config.option.markexpr):
        spent_s = time.process_time()
        bound = f"the bound for all unit tests is {UNIT_CPU_S:g} s"
        terminalreporter.write_line(f"{spent_s:.1f} s of CPU time; {bound}")
    if seen := emitted.summary():
        terminalreporter.write_line(f"Emitted by the server in these tests: {seen}")
