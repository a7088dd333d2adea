"""
Every race of a turn: each thing that may happen, at each step that a turn goes through.

Enumerated and without real time. Whatever meets whatever: each response that was opened is
closed once and in order, the engine is asked for nothing impossible (``Stage`` looks), it
holds at most one sequence, and the next turn is answered as if nothing had been.
"""

import contextlib
from collections.abc import Callable

import pytest

from assistant.config import BargeInConfig, Config
from assistant.wire import client_events as client, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.stage import Stage

Step = Callable[[Stage], None]

STEPS: dict[str, Step] = {
    "nothing was said": lambda stage: None,
    "speech has begun": lambda stage: stage.talk(0.5),
    "a pause, a guess is ordered": lambda stage: stage.pause(),
    "the guess is written": lambda stage: stage.think(2),
    "its first report is here": lambda stage: stage.deliver(1),
    "all its reports are here": lambda stage: stage.deliver(),
    "the turn is over": lambda stage: stage.quiet(0.4),
    "the answer is written": lambda stage: stage.think(1),
    "more of it is shown": lambda stage: stage.deliver(1),
    "it is finished, not shown": lambda stage: stage.think(9),
    "it is shown": lambda stage: stage.settle(),
}
"""In order: a turn goes through all of them."""


def die_and_come_back(stage: Stage) -> None:
    stage.die()
    stage.revive()


def jump(seconds: float) -> Step:
    """The client's clock is set anew by so much between two frames."""

    def show_twice(stage: Stage) -> None:
        now_ms = stage.now * 1000
        for timestamp_ms in (now_ms, now_ms + seconds * 1000):
            image = client.InputImageAppend(image=b"jpeg", timestamp_ms=timestamp_ms)
            stage.client(image)

    return show_twice


def freeze(stage: Stage) -> None:
    """No sound for a minute, then it goes on: a laptop was closed."""
    stage.now += 60
    stage.timer(stage.now)


def switch_detection(stage: Stage) -> None:
    for detection in (None, {"type": "server_vad"}):
        stage.update(type="realtime", audio={"input": {"turn_detection": detection}})


def events(*sent: client.AnyClientEvent) -> Step:
    def send(stage: Stage) -> None:
        for event in sent:
            with contextlib.suppress(EventRefused):
                stage.client(event)

    return send


RACES: dict[str, Step] = {
    "speech resumes or barges in": lambda stage: stage.talk(0.5),
    "somebody says mm-hm": lambda stage: stage.talk(0.2),
    "the camera goes on": lambda stage: stage.shows(),
    "the camera goes off": events(client.InputImageClear()),
    "a frame from the past": jump(-3600),
    "a frame from the future": jump(3600),
    "the world stands still": freeze,
    "a commit": events(client.InputAudioCommit()),
    "two commits": events(client.InputAudioCommit(), client.InputAudioCommit()),
    "a clear": events(client.InputAudioClear()),
    "a cancel": events(client.ResponseCancel()),
    "a question": events(client.ResponseCreate()),
    "a commit and a question": events(client.InputAudioCommit(), client.ResponseCreate()),
    "detection goes off and on": switch_detection,
    "the engine dies": lambda stage: stage.die(),
    "the engine dies and is back": die_and_come_back,
}


HELD_RACES = (
    "speech resumes or barges in",
    "somebody says mm-hm",
    "a commit",
    "a clear",
    "a cancel",
    "the engine dies",
)
"""What meets an answer that is held while somebody speaks."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("race", RACES)
def test_a_turn_survives(race: str, step: str) -> None:
    play(Stage(), race, step)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("race", HELD_RACES)
def test_an_answer_that_is_held_survives(race: str, step: str) -> None:
    stage = Stage(Config(barge_in=BargeInConfig(backchannels="ignore")))
    stage.talk(1.0)
    stage.quiet(1.0)
    stage.think(2)
    stage.deliver()
    stage.talk(0.3)
    play(stage, race, step)


def play(stage: Stage, race: str, step: str) -> None:
    """Take a turn to a step, let something happen, and see that all is well after it."""
    stage.shows()
    for name, go_on in STEPS.items():
        go_on(stage)
        if name == step:
            break
    RACES[race](stage)
    stage.check_ladders()
    if not stage.is_alive:
        stage.revive()
    stage.quiet(1.0)
    stage.settle()
    stage.check_ladders()
    assert not stage.session.is_answering

    num_done = len(stage.events(wire.ResponseDone))
    stage.quiet(3.0)
    stage.talk(1.0)
    stage.quiet(1.0)
    stage.settle()
    status, text = stage.replies[-1]
    assert len(stage.replies) == num_done + 1
    assert status == "completed"
    assert text
    stage.session.close()
    stage.take()
    assert stage.model.sequences == {}


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_shown_before_the_turn_is_over(step: str) -> None:
    stage = Stage()
    for name, go_on in STEPS.items():
        if name == "the turn is over":
            break
        go_on(stage)
        assert stage.events(wire.ResponseCreated) == []
        assert stage.events(wire.TextDelta) == []
        if name == step:
            break
