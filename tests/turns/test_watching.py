"""What is the driver's alone; what a session makes of it is in test_session_watch."""

import itertools
from dataclasses import replace
from typing import TypeVar

import pytest

from assistant.config import Config, PairingConfig
from assistant.turns import settings as session_settings, watch_settings
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.conversation import Conversation, Text
from assistant.turns.pairing import FrameMeta
from assistant.turns.watch import Room
from assistant.turns.watching import Watching
from assistant.wire import link, server_events as wire
from assistant.wire.client_events import WatchPatch
from tests.turns.harness import READY

_Order = TypeVar("_Order", bound=link.Message)
CONFIG = Config(pairing=PairingConfig(min_sharpness=0.1, freshness_s=2.0))
FREE = Room()


class Camera:
    """Frames with a brightness each; two differ by as much."""

    def __init__(self) -> None:
        self.metas: list[FrameMeta] = []
        self.brightness: dict[int, float] = {}

    def show(self, at: float, brightness: float, sharpness: float = 1.0) -> None:
        number = len(self.brightness) + 1
        self.metas.append(FrameMeta(number, at, sharpness, None, 64, 48))
        self.brightness[number] = brightness

    def frames(self) -> list[FrameMeta]:
        return self.metas

    def frame(self, frame_id: int) -> bytes:
        return f"frame {frame_id}".encode()

    def novelty(self, one: int, other: int) -> float:
        kept = {meta.id for meta in self.metas}
        assert {one, other} <= kept, "a frame that is gone"
        return abs(self.brightness[one] - self.brightness[other])


class Eye:
    """A watch with a camera, and an engine by hand."""

    def __init__(self, ready: link.Ready | None = READY) -> None:
        numbers = itertools.count(1)
        self.actions: list[Action] = []
        self.camera = Camera()
        self.conversation = Conversation(100, 2**20)
        self.watching = Watching(
            config=CONFIG,
            conversation=self.conversation,
            conversation_id="conv",
            sequence_numbers=itertools.count(1),
            new_id=lambda kind: f"{kind}_{next(numbers)}",
            emit=self.actions.append,
        )
        settings = session_settings.initial(CONFIG, "fake", hangover_ms=0)
        wish = WatchPatch(instruction="Is it red?", min_gap_ms=0)
        wished = watch_settings.updated(None, wish, CONFIG.watch)
        self.settings = replace(
            settings, extensions=replace(settings.extensions, watch=wished)
        )
        self.watching.configure(self.settings)
        self.watching.receive_engine(ready)

    def go_on(self, now: float, room: Room = FREE) -> bool:
        return self.watching.go_on(now, self.camera, room)

    def told(self, kind: type[_Order]) -> list[_Order]:
        orders = [action.order for action in self.actions if isinstance(action, Tell)]
        return [order for order in orders if isinstance(order, kind)]

    def answer(self, *words: str, now: float = 1.0) -> None:
        generate = self.told(link.Generate)[-1]
        sequence, generation = generate.sequence, generate.generation
        self.watching.receive_report(link.Admitted(sequence, generation), now)
        for word in words:
            token = link.Token(sequence, generation, [1], word)
            self.watching.receive_report(token, now + 0.1)
        finished = link.Finished(
            sequence=sequence,
            generation=generation,
            reason="stop",
            text="",
            num_prompt=20,
            num_cached=0,
            num_output=len(words),
        )
        assert self.watching.receive_report(finished, now + 0.2)

    def pictures(self) -> list[bytes]:
        parts = [part for order in self.told(link.Append) for part in order.parts]
        return [part.data for part in parts if isinstance(part, link.ImagePart)]

    def done(self) -> wire.Response:
        events = [action.event for action in self.actions if isinstance(action, Send)]
        (done,) = [event for event in events if isinstance(event, wire.ResponseDone)]
        return done.response


def test_nothing_is_looked_at_without_an_engine() -> None:
    eye = Eye(ready=None)
    eye.camera.show(0.0, 0.5)
    assert not eye.go_on(0.0)
    assert (eye.actions, eye.watching.deadline()) == ([], None)


def test_the_newest_frame_that_is_fresh_and_sharp_is_looked_at() -> None:
    eye = Eye()
    eye.camera.show(0.0, 0.1)
    eye.go_on(2.1)
    assert eye.told(link.Generate) == []
    for at, sharpness in ((2.0, 1.0), (3.0, 1.0), (3.5, 0.05)):
        eye.camera.show(at, 0.5, sharpness)
    eye.go_on(4.0)
    assert eye.pictures() == [b"frame 3"]


def test_a_frame_is_compared_with_the_one_that_was_judged_while_that_is_kept() -> None:
    eye = Eye()
    eye.camera.show(0.0, 0.5)
    eye.go_on(0.0)
    eye.answer("no")
    eye.go_on(0.3)
    eye.camera.show(1.0, 0.505)
    eye.go_on(1.0)
    assert len(eye.pictures()) == 1
    del eye.camera.metas[0]
    eye.go_on(1.0)
    assert eye.pictures() == [b"frame 1", b"frame 2"]


def test_what_is_said_carries_its_frame_its_times_and_what_it_took() -> None:
    eye = Eye()
    eye.camera.show(0.5, 0.5)
    eye.go_on(0.6)
    eye.answer("Yes, ", "it is red.", now=0.7)
    assert eye.go_on(1.0)
    done = eye.done()
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.output_tokens) == (20, 2)
    vendor = done.assistant
    assert isinstance(vendor, dict)
    (frame,) = vendor["frames"]
    assert (frame["id"], frame["captured_ms"], frame["reason"]) == (1, 500.0, "used")
    timeline = {name: at for name, at in vendor["timeline"].items() if at is not None}
    assert timeline == {
        "committed_ms": pytest.approx(600),
        "admitted_ms": pytest.approx(700),
        "first_token_ms": pytest.approx(800),
        "done_ms": pytest.approx(1000),
    }
    (item,) = eye.conversation.items
    assert (item.role, item.content) == ("assistant", [Text("Yes, it is red.")])


def test_nothing_of_a_look_that_is_over_is_held() -> None:
    eye = Eye()
    for number in range(5):
        eye.camera.show(float(number), number / 10)
        eye.go_on(float(number))
        sequence = eye.told(link.Generate)[-1].sequence
        appended = link.Appended(
            sequence=sequence, num_tokens=9, num_text=2, num_image=7, num_audio=0
        )
        eye.watching.receive_report(appended, number + 0.1)
        eye.answer("no", now=number + 0.1)
        eye.go_on(number + 0.4)
    assert len(eye.told(link.Open)) == len(eye.told(link.Close)) == 5
    assert eye.watching._mirror._costs == {}


def test_reports_of_others_are_left_to_them() -> None:
    eye = Eye()
    assert not eye.watching.receive_report(link.Token(99, 1, [1], "x"), 0.0)
    assert not eye.watching.receive_report(READY, 0.0)
