from functools import cache

import pytest

from assistant.config import VadConfig
from assistant.media.vad import open_vad
from assistant.turns.endpointing import SILERO_HANGOVER_MS
from tests.media.labelled import (
    Recording,
    probabilities,
    read_recordings,
    settings_with,
    turns,
    utterances,
)

TOLERANCE_S = 0.150


@cache
def judged(name: str) -> tuple[Recording, list[float]]:
    (recording,) = (r for r in read_recordings() if r.name == name)
    return recording, probabilities(recording.samples, open_vad(VadConfig()))


LONG = ("mfa_acoustic_corpus", "mfa_cold_corpus", "speechbrain_train")


@pytest.mark.parametrize("silence_ms", [300, 500])
@pytest.mark.parametrize(
    "name",
    ["speechbrain_valid", *(pytest.param(n, marks=pytest.mark.parity) for n in LONG)],
)
def test_every_labelled_utterance_is_one_turn_with_its_boundaries(
    name: str, silence_ms: int
) -> None:
    recording, heard = judged(name)
    found = turns(heard, settings_with(silence_ms, SILERO_HANGOVER_MS))
    expected = utterances(recording.labels, silence_ms, found)
    assert len(found) == len(expected), (found, expected)
    for turn, label in zip(found, expected, strict=True):
        assert turn == pytest.approx(label, abs=TOLERANCE_S)
