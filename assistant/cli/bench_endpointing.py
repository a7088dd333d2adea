"""
``assistant bench endpointing``: who is cut off, and who is kept waiting.

Runs labelled recordings through every detector and policy, as the service would, but much
faster than real time. Knows options and how figures look.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from assistant.errors import ConfigError


def add_parser(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = kinds.add_parser(
        "endpointing", help="turns cut off and turns waited for, on labelled recordings"
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        required=True,
        metavar="DIR",
        help="sound files with labels: NAME.tsv with start_s, end_s, label",
    )
    parser.add_argument(
        "--noise", type=Path, metavar="DIR", help="sound files without speech"
    )
    parser.add_argument(
        "--detectors", default="silero,webrtc", metavar="NAME,NAME", help="webrtc-3, too"
    )
    parser.add_argument(
        "--gap",
        type=float,
        default=1.0,
        metavar="S",
        help="silence between labels that parts two turns (default 1)",
    )
    parser.add_argument(
        "--snr", default="20,10,5", metavar="DB,DB", help="of speech to mixed-in noise"
    )
    parser.add_argument(
        "--mixtures",
        type=int,
        default=4,
        metavar="N",
        help="noises that each recording is mixed with (0: every one)",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="where to keep what was judged"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a PNG of the curves")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    # Imported late: the other commands need neither the detectors nor OpenCV.
    from assistant.media import chart, endpointing_bench as bench, labelled

    names = options.detectors.split(",")
    if unknown := set(names) - set(bench.ENGINES):
        known = ", ".join(bench.ENGINES)
        raise ConfigError(f"--detectors: no {min(unknown)!r}, there are {known}")
    snrs_db = _numbers(options.snr)
    noise = labelled.read_noise(options.noise) if options.noise else []
    corpus = bench.Corpus(
        spoken=labelled.read_labelled(options.recordings),
        noise=noise,
        snrs_db=snrs_db,
        num_mixtures=options.mixtures or len(noise),
        gap_s=options.gap,
    )
    figures: dict[str, object] = {"gap_s": options.gap}
    curves = []
    for name in names:
        for title, found in bench.measure(name, corpus, options.keep):
            print("\n".join([title, *lines(found), ""]), flush=True)
            figures[title] = found
            if curve := bench.curve(title, found):
                curves.append(curve)
    if options.plot is not None:
        chart.save(bench.picture(curves), options.plot)
    print(json.dumps(figures), flush=True)
    return 0


def lines(figures: Mapping[str, object]) -> list[str]:
    """Return a table: what, and how much; curves are for the picture."""
    return [
        f"  {name.replace('_', ' '):<34}  {_spelled(name, value):>8}"
        for name, value in figures.items()
        if name != "points"
    ]


def _spelled(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
    if isinstance(value, float):
        is_share = not ("delay" in name or name.endswith("_s"))
        return f"{value:.1%}" if is_share else f"{value:.0f}"
    return "not reached" if value is None else str(value)


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",") if number]
    except ValueError:
        raise ConfigError(f"--snr = {text!r}, must be like 20,10,5") from None
