import pytest
from hypothesis import given, strategies as st

from assistant.turns.patience import (
    FINAL,
    HASTE,
    OPEN,
    PAUSE_MARGIN,
    SOFT_LEAD_MS,
    SOFT_MARGIN_MS,
    Patience,
)

LEAST, LONGEST, VETO = 500, 1000, 4000


def hard_ms(patience: Patience) -> float:
    return patience.hard_ms(LEAST, LONGEST, VETO)


def after(*pauses_ms: float) -> Patience:
    patience = Patience()
    for pause_ms in pauses_ms:
        patience.learn(pause_ms)
    return patience


def test_a_fluent_speaker_waits_for_the_least() -> None:
    assert hard_ms(Patience()) == LEAST
    assert hard_ms(after(200)) == LEAST


def test_long_pauses_make_the_end_wait_within_bounds() -> None:
    assert hard_ms(after(600)) == 600 * PAUSE_MARGIN
    assert hard_ms(after(600, 300)) == 600 * PAUSE_MARGIN
    assert hard_ms(after(2000)) == LONGEST


@pytest.mark.parametrize("longest_ms", [0, LEAST])
def test_a_silence_that_is_not_to_adapt_is_exact(longest_ms: int) -> None:
    patience = after(900)
    for finality in (0.0, 0.5, 1.0):
        patience.receive_finality(finality)
        assert patience.hard_ms(LEAST, longest_ms, VETO) == LEAST


def test_pauses_are_forgotten_from_turn_to_turn() -> None:
    patience = after(800)
    waits = []
    for _ in range(4):
        waits.append(hard_ms(patience))
        patience.turn_over()
    assert waits == sorted(waits, reverse=True)
    assert (waits[0], waits[-1]) == (840, LEAST)


@pytest.mark.parametrize(
    ("finality", "expected"),
    [
        (1.0, HASTE * LEAST),
        (FINAL, HASTE * LEAST),
        (0.5, 630),
        (OPEN, VETO),
        (0.0, VETO),
    ],
)
def test_what_sounds_final_is_waited_for_less_and_what_does_not_longer(
    finality: float, expected: float
) -> None:
    patience = after(600)
    patience.receive_finality(finality)
    assert hard_ms(patience) == expected


def test_a_judgement_counts_for_its_own_pause_only() -> None:
    patience = Patience()
    patience.receive_finality(0.0)
    patience.learn(100)
    assert hard_ms(patience) == LEAST
    patience.receive_finality(0.0)
    patience.pause()
    assert hard_ms(patience) == LEAST


@given(st.integers(32, 5000), st.floats(32, 20_000), st.floats(0, 20_000))
def test_the_soft_end_lies_in_its_bounds(
    soonest_ms: int, wait_ms: float, pause_ms: float
) -> None:
    soft_ms = after(pause_ms).soft_ms(soonest_ms, wait_ms)
    assert soft_ms >= max(soonest_ms, wait_ms - SOFT_LEAD_MS)
    assert soft_ms <= max(soonest_ms, wait_ms - SOFT_MARGIN_MS)
