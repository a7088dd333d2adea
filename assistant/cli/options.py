"""Options that several commands share: which configuration file, and what overrides it."""

import argparse
from pathlib import Path

from assistant.config import Effective, load

KEY_VARIABLE = "ASSISTANT_API_KEY"
"""The key that the commands show which talk to a running service."""

_OVERRIDES = {
    "host": "server.host",
    "port": "server.port",
    "tls": "server.tls",
    "model": "engine.model",
    "device": "engine.device",
    "backend": "engine.backend",
    "log_level": "log.level",
}
"""Option to configuration key. An option that was not given is None and changes nothing."""


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file; configs/default.toml lists all",
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides who answers, for commands that start a service."""
    parser.add_argument(
        "--model", metavar="DIR|HUB_ID|demo|random", help="which checkpoint answers"
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], help="where it computes"
    )


def effective_configuration(options: argparse.Namespace) -> Effective:
    """
    Return the configuration that the options of a command ask for.

    Raises:
        ConfigError: The file or an option has a wrong value.
    """
    given = {
        key: (f"--{option.replace('_', '-')}", value)
        for option, key in _OVERRIDES.items()
        if (value := getattr(options, option, None)) is not None
    }
    return load(options.config, given)
