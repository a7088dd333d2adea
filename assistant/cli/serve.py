"""``assistant serve``: run the service until it is told to stop."""

import argparse
import resource

from assistant import log
from assistant.cli.options import (
    add_config_option,
    add_engine_options,
    effective_configuration,
)
from assistant.models_on_disk import BUILT_IN, resolve_model


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser("serve", help="run the service")
    add_config_option(parser)
    parser.add_argument("--host", metavar="H", help="address to listen on")
    parser.add_argument(
        "--port", type=int, metavar="P", help="port to listen on; 0 takes any"
    )
    add_engine_options(parser)
    parser.add_argument("--tls", choices=["self-signed"], help="serve https")
    parser.add_argument(
        "--backend", choices=["native", "transformers"], help="which engine"
    )
    parser.add_argument("--log-level", metavar="LEVEL", help="what is logged: INFO, …")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve; return the exit status."""
    effective = effective_configuration(options)
    log.set_up(effective.config.log.level)
    _forbid_core_dumps()
    model = effective.config.engine.model
    if model not in BUILT_IN:
        resolve_model(model)  # says at once what the engine process would say after seconds
    # Imported late: the other commands must work where the service cannot run.
    from assistant.gateway.server import serve

    return serve(effective, _announce)


def _forbid_core_dumps() -> None:
    """Keep what users said and showed out of files, also when a process crashes."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _announce(line: str) -> None:
    print(line, flush=True)
