import numpy as np

from assistant.config import EndpointingConfig, VadConfig
from assistant.media.endpointing_bench import (
    ENGINES,
    POLICIES,
    SILENCES_MS,
    Corpus,
    curve,
    measure,
    mixtures,
    operating_points,
    picture,
    sweep,
    with_policy,
)
from assistant.media.labelled import Recording
from assistant.turns.endpointing import Endpointing
from assistant.turns.scoring import Judged, Point

DEFAULTS = Endpointing.from_config(EndpointingConfig(), 0)
SECOND = np.ones(16_000, np.float32)


def corpus(num_spoken: int, num_noises: int, num_mixtures: int) -> Corpus:
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.1, 16_000).astype(np.float32)
    return Corpus(
        spoken=[Recording(f"s{n}", SECOND, [(0.2, 0.8)]) for n in range(num_spoken)],
        noise=[Recording(f"n{n}", noise, []) for n in range(num_noises)],
        snrs_db=[20.0],
        num_mixtures=num_mixtures,
        gap_s=1.0,
    )


def test_the_first_engine_is_what_is_configured_by_default() -> None:
    assert next(iter(ENGINES.values())) == VadConfig()


def test_the_plain_silence_is_one_of_the_policies_and_does_not_adapt() -> None:
    assert with_policy(DEFAULTS, "fixed") == DEFAULTS
    assert not with_policy(DEFAULTS, "fixed", 300).adapts
    assert with_policy(DEFAULTS, "adaptive", 300).longest_silence_ms == 600


def test_more_silence_never_cuts_off_more_under_the_plain_policy() -> None:
    pattern = [0.95] * 20 + [0.02] * 12 + [0.95] * 20 + [0.02] * 25 + [0.95] * 20
    labels = [(0.0, 0.64), (1.024, 1.664), (2.464, 3.104)]
    points = sweep([Judged("", pattern, labels)], DEFAULTS, "fixed", 1.0)
    shares = [point.cut_off_share for point in points]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (1.0, 0.0)
    assert [point.silence_ms for point in points] == list(SILENCES_MS)


def test_operating_points_have_the_names_that_the_field_uses() -> None:
    assert operating_points([Point(500, 0.04, 550)]) == {
        "delay_ms_at_5%_cut_offs": 550,
        "delay_ms_at_10%_cut_offs": 550,
        "cut_offs_at_300_ms": None,
        "cut_offs_at_600_ms": 0.04,
    }


def test_every_noise_has_its_turn_before_one_comes_again() -> None:
    names = [m.name for m in mixtures(corpus(3, 4, 2), 10)]
    noises = [name.split()[2] for name in names]
    assert noises == ["n0", "n1", "n2", "n3", "n0", "n1"]
    assert len(list(mixtures(corpus(2, 3, 9), 10))) == 6, "no noise twice for one"
    assert list(mixtures(corpus(2, 0, 4), 10)) == []


def test_every_policy_and_the_noise_have_their_figures() -> None:
    found = dict(measure("webrtc", corpus(1, 2, 1), None))
    assert list(found) == [f"webrtc {p}" for p in POLICIES] + ["webrtc in noise"]
    assert found["webrtc in noise"]["noise_s"] == 2
    assert found["webrtc in noise"]["utterances_at_20_db"] == 1
    assert found["webrtc fixed"]["turns"] == 1


def test_curves_are_those_of_policies() -> None:
    found = dict(measure("webrtc", corpus(1, 0, 0), None))
    curves = [curve(title, figures) for title, figures in found.items()]
    assert all(c is not None and len(c.points) == len(SILENCES_MS) for c in curves)
    assert curve("noise", {"noise_s": 1.0}) is None
    assert picture([c for c in curves if c is not None]).any()
