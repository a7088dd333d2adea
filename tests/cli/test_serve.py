"""``assistant serve`` starts the gateway with the right configuration, or says why not."""

import logging
import resource
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from assistant import log
from assistant.__main__ import main
from assistant.config import Effective
from assistant.errors import ConfigError


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    cores = resource.getrlimit(resource.RLIMIT_CORE)
    yield
    resource.setrlimit(resource.RLIMIT_CORE, cores)
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in log.HELD_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Effective]:
    """Put a gateway in place that announces itself and stops at once."""
    seen: list[Effective] = []

    def serve(effective: Effective, announce: Callable[[str], None]) -> int:
        seen.append(effective)
        announce("ready http://127.0.0.1:8000 model=demo device=cpu")
        return 7

    module = ModuleType("assistant.gateway.server")
    module.serve = serve  # type: ignore[attr-defined]  # a module made for this test
    monkeypatch.setitem(sys.modules, "assistant.gateway.server", module)
    return seen


def test_it_announces_readiness_and_returns_the_status_of_the_service(
    served: list[Effective], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve"]) == 7
    assert capsys.readouterr().out == "ready http://127.0.0.1:8000 model=demo device=cpu\n"
    assert set(served[0].origins.values()) == {"default"}


def test_every_option_reaches_the_service(served: list[Effective]) -> None:
    options = "--host 0.0.0.0 --port 9 --model demo --device cpu --tls self-signed"
    main(["serve", *options.split(), "--backend", "transformers"])
    config = served[0].config
    assert (config.server.host, config.server.port) == ("0.0.0.0", 9)
    assert (config.server.tls, config.engine.device) == ("self-signed", "cpu")
    assert config.engine.backend == "transformers"
    assert served[0].origins["engine.backend"] == "--backend"


def test_a_crash_leaves_no_core_file_with_what_users_said(served: list[Effective]) -> None:
    main(["serve"])
    assert served
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_a_model_that_is_not_there_stops_it_before_anything_starts(
    served: list[Effective], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", "/no/such/model"]) == 1
    assert capsys.readouterr().err == (
        "assistant: model '/no/such/model': there is no folder /no/such/model\n"
    )
    assert served == []


def test_what_the_service_raises_on_purpose_is_one_line(
    served: list[Effective],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_effective: Effective, _announce: Callable[[str], None]) -> int:
        raise ConfigError("port 8000 is in use")

    monkeypatch.setattr(sys.modules["assistant.gateway.server"], "serve", refuse)
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == "assistant: port 8000 is in use\n"
