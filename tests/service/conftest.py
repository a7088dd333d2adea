from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.checkpoints import write_talkative
from tests.service.harness import REPLY_TOKENS, RunningService, running


@pytest.fixture(scope="session")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_talkative(tmp_path_factory.mktemp("models") / "talkative")


@pytest.fixture(scope="session")
def arguments(talkative: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options of a service whose every reply has ``REPLY_TOKENS`` tokens."""
    file = tmp_path_factory.mktemp("configs") / "service.toml"
    file.write_text(f"[reply]\nmax_output_tokens = {REPLY_TOKENS}\n")
    return ("--config", str(file), "--model", str(talkative))


@pytest.fixture(scope="package")
def service(arguments: tuple[str, ...]) -> Iterator[RunningService]:
    """One service for all tests that leave it as they found it."""
    with running(*arguments) as service:
        yield service
