"""Random sessions with a watch: it never speaks over anybody, and leaves nothing behind."""

import random
from collections.abc import Sequence

import pytest

from assistant.wire import link, server_events as wire
from tests.turns.sequences import Atom
from tests.turns.stage import Stage
from tests.turns.test_session_random import Play

QUESTION = "Do you see a star?"


class WatchStage(Stage):
    """A stage that is watched: it must never speak over anybody."""

    num_said = 0
    _seen = 0

    def words(self, read: Sequence[Atom]) -> list[str]:
        if ("text", QUESTION) not in read:
            return super().words(read)
        frames = [value for kind, value in read if kind == "image"]
        is_odd = int(str(frames[-1]).split()[1].partition("'")[0]) % 2
        return ["Yes", "."] if is_odd else ["no"]

    def take(self) -> None:
        super().take()
        for action in self.actions[self._seen :]:
            event = getattr(action, "event", None)
            if isinstance(event, wire.ResponseCreated) and event.response.metadata:
                self.num_said += 1
                self._check_room()
            order = getattr(action, "order", None)
            if isinstance(order, link.Open) and order.is_background:
                self._check_room()
        self._seen = len(self.actions)

    def forget(self) -> None:
        super().forget()
        self._seen = 0

    def check_ladders(self) -> None:
        looks = [n for n, s in self.model.sequences.items() if ("text", QUESTION) in s.read]
        assert len(looks) <= 1, "two looks at once"
        hidden = {number: self.model.sequences.pop(number) for number in looks}
        super().check_ladders()
        self.model.sequences.update(hidden)

    def _check_room(self) -> None:
        assert not self.session._listener.is_hearing
        assert not self.session._buffer.is_speech
        assert not self.session.is_answering

    def _check_asked(self, asked: list[Atom]) -> None:
        if ("text", QUESTION) not in asked:
            super()._check_asked(asked)


@pytest.mark.parametrize("speaks_aloud", ["unknown", "yes"])
def test_random_sessions_are_watched_without_disturbing_anybody(speaks_aloud: str) -> None:
    num_said = 0
    for seed in range(8):
        play = Play(seed)
        stage = play.stage = WatchStage()
        watch = {"instruction": QUESTION, "min_gap_ms": 0}
        stage.update(assistant={"watch": watch, "speaks_aloud": speaks_aloud})
        draw = random.Random(seed)
        try:
            for _ in range(60):
                play.step()
                if draw.random() < 0.5:
                    stage.shows()
                if draw.random() < 0.25:
                    stage.quiet(1.2)
                    stage.shows()
                    stage.settle()
                if stage.session.deadline() < stage.now + 0.5:
                    stage.timer(max(stage.now, stage.session.deadline()))
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        num_said += stage.num_said
        stage.session.close()
        stage.take()
        assert stage.model.sequences == {}
    assert num_said > 3
