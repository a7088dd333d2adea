from dataclasses import replace

import pytest

from assistant.turns.endpointing import Endpointer, HardEnd
from tests.turns.test_endpointing import PLAIN, W, hear

ADAPTIVE = replace(PLAIN, silence_duration_ms=160, longest_silence_ms=480, veto_ms=960)
"""Five windows of silence are a hard end, with a speaker who pauses up to fifteen."""


def hard_end(endpointer: Endpointer, pattern: str) -> int:
    """Return after how many windows of silence the HardEnd of that sound came."""
    (delay,) = [
        (endpointer.position - boundary.at) // W
        for sign in pattern
        for boundary in hear(endpointer, sign)
        if isinstance(boundary, HardEnd)
    ]
    return delay


def test_the_hard_end_waits_longer_for_a_speaker_who_pauses() -> None:
    endpointer = Endpointer(ADAPTIVE)
    assert hard_end(endpointer, "xxx....xxx" + "." * 40) == 5, "4 and a little"
    endpointer.configure(replace(ADAPTIVE, silence_duration_ms=256))
    assert hard_end(endpointer, "xxx.......xxx" + "." * 40) == 8, "7 and a little"


def test_who_was_cut_off_and_goes_on_at_once_has_paused() -> None:
    endpointer = Endpointer(ADAPTIVE)
    hear(endpointer, "xxx" + "." * 8)
    assert hard_end(endpointer, "xxx" + "." * 20) == 9
    exact = Endpointer(PLAIN)
    hear(exact, "xxx" + "." * 8)
    assert hard_end(exact, "xxx" + "." * 20) == 5


def test_an_answer_after_a_while_is_no_pause() -> None:
    endpointer = Endpointer(ADAPTIVE)
    hear(endpointer, "xxx" + "." * 40)
    assert hard_end(endpointer, "xxx" + "." * 20) == 5


@pytest.mark.parametrize(("finality", "num_windows"), [(1, 4), (0.5, 5), (0, 30)])
def test_how_final_a_pause_sounds_hastens_or_holds_off_its_end(
    finality: float, num_windows: int
) -> None:
    endpointer = Endpointer(ADAPTIVE)
    hear(endpointer, "xxx...")
    endpointer.receive_finality(finality)
    assert hard_end(endpointer, "." * 40) == num_windows


def test_a_judgement_of_an_earlier_pause_counts_for_nothing() -> None:
    endpointer = Endpointer(ADAPTIVE)
    hear(endpointer, "xxx...x")
    endpointer.receive_finality(0.0)
    assert hard_end(endpointer, "." * 40) == 5
    endpointer.receive_finality(0.0)
    assert hard_end(endpointer, "xxx" + "." * 40) == 5
