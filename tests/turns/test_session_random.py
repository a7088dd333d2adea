"""
Random sessions: whatever happens in whatever order, what is done ahead changes nothing.

Speech, pauses, frames, edits, settings, commits, questions, cancels, engine deaths and
reports that arrive late meet in random order. ``Stage`` checks before every answer that is
given that the engine has read what a fresh one would; here: that the engine is never asked
for the impossible, that nothing shows before a turn is over, that nothing is left behind.
"""

import contextlib
import random

import pytest

from assistant.wire import client_events as client, link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.rounds import rounds
from tests.turns.harness import text_item
from tests.turns.stage import Stage


class Play:
    """A stage and a random hand."""

    def __init__(self, seed: int, *, speculation: bool = True) -> None:
        self.draw = random.Random(seed)
        self.stage = Stage(speculation=speculation)
        self.is_manual = False

    # --- what may happen ----------------------------------------------------------------

    def talk(self) -> None:
        self.stage.talk(self.draw.uniform(0.05, 0.6))

    def breathe(self) -> None:
        self.stage.quiet(self.draw.uniform(0.05, 0.45))

    def finish(self) -> None:
        self.stage.quiet(0.7)

    def think(self) -> None:
        self.stage.think(self.draw.randint(1, 4))

    def deliver(self) -> None:
        self.stage.deliver(self.draw.randint(1, 6))

    def show(self) -> None:
        self.stage.shows()

    def camera_off(self) -> None:
        self.stage.client(client.InputImageClear())

    def write_item(self) -> None:
        self.stage.client(text_item(self.draw.choice(["a", "b"])))

    def delete_item(self) -> None:
        items = self.stage.session._conversation.items
        if items:
            item_id = self.draw.choice(items).id
            self.stage.client(client.ItemDelete(item_id=item_id))

    def instruct(self) -> None:
        words = self.draw.choice(["", "Be brief.", "Be long."])
        self.stage.update(type="realtime", instructions=words)

    def switch_detection(self) -> None:
        self.is_manual = not self.is_manual
        detection = None
        if not self.is_manual:
            detection = {
                "type": "server_vad",
                "create_response": self.draw.random() < 0.8,
                "interrupt_response": self.draw.random() < 0.8,
            }
        self.stage.update(type="realtime", audio={"input": {"turn_detection": detection}})

    def commit(self) -> None:
        self.stage.client(client.InputAudioCommit())

    def clear(self) -> None:
        self.stage.client(client.InputAudioClear())

    def ask(self) -> None:
        self.stage.client(client.ResponseCreate())

    def cancel(self) -> None:
        self.stage.client(client.ResponseCancel())

    def restart(self) -> None:
        if self.stage.is_alive:
            self.stage.die()
        else:
            self.stage.revive()

    def crowd(self) -> None:
        """Others come, and soon go."""
        self.stage.load.answer("somebody else")

    def step(self) -> None:
        happen = self.draw.choice(
            [self.talk, self.breathe, self.think, self.deliver] * 5
            + [self.finish, self.show] * 3
            + [self.camera_off, self.write_item, self.delete_item, self.instruct]
            + [self.switch_detection, self.commit, self.clear, self.ask, self.cancel]
            + [self.restart, self.crowd]
        )
        if self.draw.random() < 0.2:
            self.stage.load.rest("somebody else")
            if not self.stage.is_alive:
                self.stage.revive()
        with contextlib.suppress(EventRefused):  # and refused things change nothing
            happen()
        self.stage.take()
        self.check()

    # --- what must hold -----------------------------------------------------------------

    def check(self) -> None:
        stage = self.stage
        stage.check_ladders()
        early = [
            action.order.is_speculative
            for action in stage.actions
            if hasattr(action, "order") and isinstance(action.order, link.Generate)
        ]
        assert stage.num_promoted <= sum(early)


@rounds(10, 60)
def test_random_sessions_hold_every_promise(rounds: int) -> None:
    num_promoted = num_done = 0
    for seed in range(rounds):
        play = Play(seed)
        try:
            for _ in range(80):
                play.step()
            play.stage.session.close()
            play.stage.take()
            assert play.stage.model.sequences == {}
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        num_promoted += play.stage.num_promoted
        num_done += len(play.stage.events(wire.ResponseDone))
    assert num_done > 2 * rounds
    assert num_promoted > rounds / 2, "the schedules hardly ever guess right"


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.parity) for n in range(4, 30))]
)
def test_turns_of_any_length_are_answered_alike_with_and_without_guesses(seed: int) -> None:
    """Every answer is given to the end, so that only the guesses differ."""
    shown = []
    for speculation in (True, False):
        play = Play(seed, speculation=speculation)
        stage = play.stage
        for _ in range(6):
            for _ in range(play.draw.randint(1, 4)):
                play.draw.choice([play.talk, play.breathe, play.show, play.instruct])()
                play.draw.choice([play.write_item, play.talk, play.talk])()
                stage.think(play.draw.randint(0, 3))
                # Who is late is late in both worlds: what was said in answer is not.
                if not stage.session.is_answering:
                    stage.deliver(play.draw.randint(0, 5))
                else:
                    stage.settle()
            stage.quiet(0.7)
            stage.settle()
        shown.append((stage.types(), stage.replies))
    assert shown[0] == shown[1]
    assert shown[0][1]
