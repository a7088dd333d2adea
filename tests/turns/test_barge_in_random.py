"""
Random talk around answers, through the real endpointing: nobody who is quiet is lost.

A world is a list of windows, each with a voice or none and its level. What a user says is
given an answer if it lies in an utterance that was passed on, from its start to its end.
"""

import random
from dataclasses import dataclass, field
from typing import Literal

import pytest

from assistant.config import BargeInConfig, EndpointingConfig
from assistant.turns.barge_in import CHARS_PER_S, BargeIn
from assistant.turns.endpointing import (
    WINDOW_SAMPLES,
    Endpointer,
    Endpointing,
    HardEnd,
    SpeechStarted,
)

WINDOW_S = WINDOW_SAMPLES / 16_000
SLACK = 2 * WINDOW_SAMPLES


@dataclass
class World:
    """A microphone, the answers that are given, and what was passed on."""

    gate: BargeIn
    ear: Endpointer = field(
        default_factory=lambda: Endpointer(Endpointing.from_config(EndpointingConfig(), 0))
    )
    is_answering: bool = False
    levels: list[float] = field(default_factory=list)
    open_at: int | None = None
    passed: list[tuple[int, int]] = field(default_factory=list)
    said: list[tuple[int, int]] = field(default_factory=list)

    def level_db(self, start: int, stop: int) -> float:
        heard = self.levels[start // WINDOW_SAMPLES : -(-stop // WINDOW_SAMPLES)]
        return max(heard)

    def window(self, level_db: float | None) -> None:
        """Let one window pass, with a voice of that level or silence."""
        self.levels.append(-90.0 if level_db is None else level_db)
        probability = 0.02 if level_db is None else 0.97
        boundaries = self.ear.receive(probability)
        for boundary in self.gate.sift(
            boundaries,
            position=self.ear.position,
            is_speech=level_db is not None,
            is_answering=self.is_answering,
            level_db=self.level_db,
            now=self.ear.position / 16_000,
        ):
            if isinstance(boundary, SpeechStarted):
                assert self.open_at is None, "two utterances at once"
                self.open_at = boundary.at
                if self.is_answering:
                    self.is_answering = False
                    self.gate.interrupted()
            elif isinstance(boundary, HardEnd):
                assert self.open_at is not None, "an end without a beginning"
                self.passed.append((self.open_at, boundary.at))
                self.open_at = None

    def user(self, level_db: float, duration_s: float) -> None:
        start = self.ear.position
        for _ in range(max(5, round(duration_s / WINDOW_S))):
            self.window(level_db)
        self.said.append((start, self.ear.position))

    def quiet(self, duration_s: float) -> None:
        for _ in range(round(duration_s / WINDOW_S)):
            self.window(None)

    def is_heard(self, span: tuple[int, int]) -> bool:
        start, stop = span
        return any(a <= start and stop <= b + SLACK for a, b in self.passed)


def world(speaks_aloud: Literal["unknown", "yes", "no"]) -> World:
    gate = BargeIn(BargeInConfig())
    gate.configure(speaks_aloud)
    return World(gate)


@pytest.mark.parametrize("speaks_aloud", ["unknown", "no"])
def test_who_speaks_is_heard_however_quietly_and_whatever_is_out(
    speaks_aloud: Literal["unknown", "no"],
) -> None:
    for seed in range(40):
        draw = random.Random(seed)
        heard = world(speaks_aloud)
        for _ in range(8):
            if draw.random() < 0.5:
                heard.is_answering = not heard.is_answering
                heard.gate.wrote(draw.randint(1, 400))
            heard.user(draw.uniform(-60, -15), draw.uniform(0.2, 1.5))
            heard.quiet(draw.choice([0.1, 0.3, 0.8]))
        heard.is_answering = False
        heard.quiet(1.0)
        assert not heard.gate.has_doubts
        lost = [span for span in heard.said if not heard.is_heard(span)]
        assert lost == [], f"seed {seed}"


def test_echoes_of_spoken_answers_open_no_turn_and_users_between_them_are_heard() -> None:
    for seed in range(25):
        draw = random.Random(seed)
        heard = world("yes")
        echo_db = draw.uniform(-45, -35)
        heard.user(-20.0, 1.0)
        heard.quiet(0.8)
        for _ in range(3):
            num_before = len(heard.passed)
            duration_s = draw.uniform(2.0, 6.0)
            heard.gate.wrote(int(duration_s * CHARS_PER_S))
            heard.quiet(draw.uniform(0.1, 1.0))
            voice_s = duration_s * draw.uniform(0.8, 1.1)
            while voice_s > 0:
                sentence_s, pause_s = draw.uniform(1.0, 2.5), draw.choice([0.1, 0.3])
                for _ in range(round(min(voice_s, sentence_s) / WINDOW_S)):
                    heard.window(echo_db)
                heard.quiet(pause_s)
                voice_s -= sentence_s + pause_s
            heard.quiet(1.0 + duration_s)
            assert len(heard.passed) == num_before, f"seed {seed}: an echo is a turn"
            heard.user(draw.uniform(-30, -15), draw.uniform(0.3, 1.5))
            heard.quiet(0.8)
        lost = [span for span in heard.said if not heard.is_heard(span)]
        assert lost == [], f"seed {seed}"
