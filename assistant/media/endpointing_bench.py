"""
What ``assistant bench endpointing`` measures: every detector under every policy.

Judges recordings, sweeps the silence that ends a turn and mixes speech with noise. What is
counted, ``turns/scoring`` knows; how it looks in a terminal, the command does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from assistant.config import EndpointingConfig, VadConfig
from assistant.media import chart
from assistant.media.audio import RATE_HZ
from assistant.media.labelled import Judge, Recording, mixed
from assistant.turns import scoring
from assistant.turns.endpointing import Endpointing
from assistant.turns.scoring import Judged, Point
from assistant.turns.turn_detection import LONGEST_SILENCE_FACTOR

ENGINES = {
    "silero": VadConfig(),
    "webrtc": VadConfig(engine="webrtc"),
    "webrtc-3": VadConfig(engine="webrtc", webrtc_aggressiveness=3),
}
POLICIES = ("fixed", "adaptive")
"""What ``server_vad`` and ``semantic_vad`` are: see ``turns/turn_detection``."""
SILENCES_MS = (*range(96, 1000, 64), *range(1000, 2001, 200))
CUT_OFF_BUDGETS = (0.05, 0.10)
DELAY_BUDGETS_MS = (300, 600)
CHART_DELAY_MS, CHART_CUT_OFFS = 2000, 60

Figures = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """What is measured with."""

    spoken: Sequence[Recording]
    noise: Sequence[Recording]
    snrs_db: Sequence[float]
    num_mixtures: int
    """Noises that each recording is mixed with at each ratio."""
    gap_s: float
    """Silence between labels that parts two turns."""


def measure(
    engine: str, corpus: Corpus, kept: Path | None
) -> Iterator[tuple[str, Figures]]:
    """
    Measure one of ``ENGINES``; yield figures by title, policies first.

    ``kept`` is a folder for what was judged. The figures of a policy have its curve under
    ``points``.
    """
    judge = Judge(ENGINES[engine], kept)
    defaults = Endpointing.from_config(EndpointingConfig(), judge.hangover_ms)
    judged = judge.judge(corpus.spoken)
    for policy in POLICIES:
        points = sweep(judged, defaults, policy, corpus.gap_s)
        usual = scoring.score(judged, with_policy(defaults, policy), corpus.gap_s)
        yield (
            f"{engine} {policy}",
            {
                "pauses": usual.num_pauses,
                "turns": usual.num_turns,
                "default_cut_offs": usual.cut_off_share,
                "default_delay_ms": usual.delay_ms,
                "default_merged": usual.num_merged,
                **operating_points(points),
                "points": [asdict(point) for point in points],
            },
        )
    if corpus.noise:
        yield f"{engine} in noise", in_noise(judge, judged, corpus, defaults)


def with_policy(
    defaults: Endpointing, policy: str, silence_ms: int | None = None
) -> Endpointing:
    """Return the settings of a policy with that (least) silence."""
    if silence_ms is None:
        silence_ms = defaults.silence_duration_ms
    longest_ms = silence_ms * LONGEST_SILENCE_FACTOR if policy == "adaptive" else 0
    return replace(defaults, silence_duration_ms=silence_ms, longest_silence_ms=longest_ms)


def sweep(
    judged: Sequence[Judged], defaults: Endpointing, policy: str, gap_s: float
) -> list[Point]:
    """Return what each silence costs and gives."""
    points = []
    for silence_ms in SILENCES_MS:
        settings = with_policy(defaults, policy, silence_ms)
        found = scoring.score(judged, settings, gap_s)
        points.append(Point(silence_ms, found.cut_off_share, found.delay_ms))
    return points


def operating_points(points: Sequence[Point]) -> Figures:
    """Return delays at bounded cut-offs, and cut-offs at bounded delays."""
    figures: Figures = {}
    for share in CUT_OFF_BUDGETS:
        figures[f"delay_ms_at_{share:.0%}_cut_offs"] = scoring.delay_at(points, share)
    for delay_ms in DELAY_BUDGETS_MS:
        figures[f"cut_offs_at_{delay_ms}_ms"] = scoring.cut_offs_at(points, delay_ms)
    return figures


def in_noise(
    judge: Judge, judged: Sequence[Judged], corpus: Corpus, settings: Endpointing
) -> Figures:
    """Count what noise opens, and what is found of speech in it."""
    opened = {}
    for noise in judge.judge(corpus.noise):
        found = scoring.found_utterances(noise.probabilities, settings)
        if found:
            opened[noise.name] = len(found)
    seconds = sum(len(noise.samples) for noise in corpus.noise) / RATE_HZ
    figures: Figures = {"noise_s": seconds, "opened": opened}
    figures |= _detection("clean", scoring.detect(judged, settings))
    for snr_db in corpus.snrs_db:
        heard = judge.judge(list(mixtures(corpus, snr_db)))
        figures |= _detection(f"at_{snr_db:g}_db", scoring.detect(heard, settings))
    return figures


def mixtures(corpus: Corpus, snr_db: float) -> Iterator[Recording]:
    """Mix every recording with its share of the noises: the next ones in their order."""
    num_mixtures = min(corpus.num_mixtures, len(corpus.noise))
    for place, recording in enumerate(corpus.spoken):
        for number in range(num_mixtures):
            at = (place * num_mixtures + number) % len(corpus.noise)
            yield mixed(recording, corpus.noise[at], snr_db)


def curve(title: str, figures: Figures) -> chart.Curve | None:
    """Return the curve of a policy's figures; None: they have none."""
    points = figures.get("points")
    if not isinstance(points, list):
        return None
    return chart.Curve(
        title, [(point["delay_ms"], 100 * point["cut_off_share"]) for point in points]
    )


def picture(curves: Sequence[chart.Curve]) -> chart.Picture:
    """Draw the curves of all policies together."""
    x = chart.Axis("median delay, ms", CHART_DELAY_MS)
    y = chart.Axis("cut-offs, % of pauses", CHART_CUT_OFFS)
    return chart.draw("False cut-offs against delay", x, y, curves)


def _detection(name: str, found: scoring.Detection) -> Figures:
    return {
        f"utterances_{name}": found.num_spoken,
        f"found_{name}": found.found_share,
        f"boundaries_within_200_ms_{name}": found.close_share,
    }
