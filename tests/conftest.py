"""What holds for all tests: their threads, their time, and what need not be imported."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.wire import emitted

# Before torch and BLAS are imported: tiny matrices on several threads mostly wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long one example takes says nothing on a machine that others use as well.
settings.register_profile("shared machine", deadline=None, database=None)
settings.load_profile("shared machine")

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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what ``-m`` deselects as a whole: stock clients take seconds to import."""
    markers = _MARKERS.get(collection_path)
    expression = str(config.getoption("markexpr"))
    if markers and all(f"not {marker}" in expression for marker in markers):
        return True
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Judge last what all other tests saw, if that is wanted at all."""
    judges = [item for item in items if item.path == _EVERY_EVENT]
    if judges:
        emitted.keep()
        items[:] = [item for item in items if item.path != _EVERY_EVENT] + judges


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if seen := emitted.summary():
        terminalreporter.write_line(f"Emitted by the server in these tests: {seen}")
