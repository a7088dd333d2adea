"""
``assistant bench``: what is measured here.

``engine``: what the engine takes, beside transformers and the bound. ``turns`` and
``endpointing`` have modules of their own.
"""

import argparse
import json
import sys
import typing

from assistant.cli import bench_endpointing, bench_turns
from assistant.cli.bench_report import card_lines, table_lines
from assistant.errors import AssistantError, ConfigError

MODELS = ("tiny", "117m", "phi-4-multimodal")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser("bench", help="measure this machine")
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    engine = kinds.add_parser("engine", help="the engine, beside transformers' generate()")
    engine.add_argument(
        "--random", choices=MODELS, default="117m", help="sizes of the random model"
    )
    engine.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    engine.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    engine.add_argument("--quantization", choices=["none", "int8", "fp8"], default="none")
    engine.add_argument(
        "--threads", type=int, default=0, metavar="N", help="of torch; 0 leaves one core"
    )
    engine.add_argument(
        "--tokens", type=int, default=33, metavar="N", help="of each reply (at least 2)"
    )
    engine.add_argument("--repeats", type=int, default=3, metavar="N")
    engine.add_argument(
        "--sessions", default="1,4", metavar="N,N", help="how many decode together"
    )
    engine.add_argument(
        "--baseline",
        choices=["none", "float32", "bfloat16"],
        default="float32",
        help="type in which transformers' generate() runs",
    )
    engine.set_defaults(run=run)
    bench_turns.add_parser(kinds)
    bench_endpointing.add_parser(kinds)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    try:
        # Imported late: the other commands must work where torch is missing.
        from assistant.engine import bench_run
    except ImportError as error:
        raise ConfigError(f"bench engine needs {error.name}, which is missing") from error
    settings = bench_run.Settings(
        random=options.random,
        device=options.device,
        dtype=options.dtype,
        quantization=options.quantization,
        threads=_at_least(0, options.threads, "--threads"),
        num_output=_at_least(2, options.tokens, "--tokens"),
        repeats=_at_least(1, options.repeats, "--repeats"),
        sessions=_sessions(options.sessions),
        baseline=options.baseline,
    )
    machine = bench_run.measure_machine(settings)
    _show(card_lines(machine))
    figures = bench_run.run(settings)
    _show(table_lines(figures))
    _show([json.dumps(machine | figures)])
    return 0


def _show(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)


def _at_least(low: int, value: int, option: str) -> int:
    if value < low:
        raise ConfigError(f"{option} = {value}, must be at least {low}")
    return value


def _sessions(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(count) for count in text.split(","))
    except ValueError:
        raise ConfigError(f"--sessions = {text!r}, must be like 1,4,16") from None
    return tuple(_at_least(1, count, "--sessions") for count in counts)


def main() -> int:
    """Run ``python -m assistant.cli.bench engine``, where nothing else is installed."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["bench", *sys.argv[1:]])
    try:
        return typing.cast("int", options.run(options))
    except AssistantError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
