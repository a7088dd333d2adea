"""Options override the file, and their names are what errors show."""

import argparse
from pathlib import Path

import pytest

from assistant.cli.options import add_config_option, effective_configuration
from assistant.errors import ConfigError


def options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"config": None, **given})


def test_an_option_that_was_not_given_changes_nothing() -> None:
    effective = effective_configuration(options(port=None, model="x"))
    assert effective.origins["server.port"] == "default"
    assert effective.origins["engine.model"] == "--model"
    assert effective.config.engine.model == "x"


def test_an_option_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text("[server]\nport = 1\n")
    effective = effective_configuration(options(config=file, port=2))
    assert effective.config.server.port == 2


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(ConfigError, match="--port: "):
        effective_configuration(options(port=-1))
    with pytest.raises(ConfigError, match="--log-level: "):
        effective_configuration(options(log_level="LOUD"))


def test_the_file_is_given_as_a_path() -> None:
    parser = argparse.ArgumentParser()
    add_config_option(parser)
    assert parser.parse_args(["--config", "a.toml"]).config == Path("a.toml")
