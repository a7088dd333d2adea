"""What sound survives on its way through bad networks, in simulation."""

from functools import cache

import pytest

from assistant.media.rtp_audio import AudioReceiver
from tests.bench.jitter import percentile
from tests.bench.rtc_loss import PROFILES_SHOWN, Outcome, carry
from tests.impairment import PROFILES
from tests.media.counting_opus import CountingDecoder, payload
from tests.media.rtp_streams import audio_packets

PACKETS = audio_packets([payload(number) for number in range(1000)])
"""20 s; every packet carries the one before it."""


@cache
def through(profile: str, *, asks_again: bool = False) -> Outcome:
    receiver = AudioReceiver(decoder=CountingDecoder())
    return carry(PACKETS, PROFILES[profile], 5, asks_again=asks_again, receiver=receiver)


OTHERS = [p for p in PROFILES_SHOWN if p not in ("clean", "loss10", "loss10rtt80")]


@pytest.mark.parametrize("asks_again", [False, True])
@pytest.mark.parametrize(
    "profile",
    [
        *("clean", "loss10", "loss10rtt80"),
        *(pytest.param(profile, marks=pytest.mark.parity) for profile in OTHERS),
    ],
)
def test_all_of_the_time_is_accounted_for(profile: str, asks_again: bool) -> None:
    assert 0.995 <= through(profile, asks_again=asks_again).accounted <= 1.005


def test_at_10_percent_loss_97_of_100_packets_are_true_or_recovered() -> None:
    outcome = through("loss10")
    assert outcome.true + outcome.recovered >= 0.97
    assert percentile(outcome.holds_s, 95) <= 0.06


def test_asked_for_again_most_of_them_are_true_even_over_a_long_way() -> None:
    near, far = through("loss10", asks_again=True), through("loss10rtt80", asks_again=True)
    assert near.true >= 0.97
    assert far.true >= 0.95
    assert far.true + far.recovered >= 0.98
    assert percentile(near.holds_s, 95) <= 0.06
    assert max(far.holds_s) <= 0.16 + 1e-9


def test_where_nothing_is_lost_nothing_is_held_or_guessed() -> None:
    outcome = through("clean")
    assert max(outcome.holds_s) == 0.0
    assert (outcome.true, outcome.stats.concealed) == (1.0, 0)
