from dataclasses import replace

import pytest

from assistant.config import EndpointingConfig, PairingConfig
from assistant.turns.conversation import Audio
from assistant.turns.endpointing import Endpointing, HardEnd, SoftEnd
from assistant.turns.input_buffer import InputBuffer
from assistant.turns.listener import Listener
from assistant.wire.refusals import EventRefused
from tests.turns.harness import FakeMedia

SECOND = 16_000


class Ear:
    """A listener that hears seconds pass."""

    def __init__(self, *, num_frames: int = 1) -> None:
        endpointing = Endpointing.from_config(EndpointingConfig(), 0)
        self.media = FakeMedia()
        self.buffer = InputBuffer(endpointing, 120.0)
        pairing = replace(PairingConfig(), frames_per_turn=num_frames)
        self.listener = Listener(self.buffer, self.media, pairing)
        self.seconds = 0.0

    def hear(self, seconds: float) -> None:
        self.seconds += seconds
        self.buffer.receive_audio(int(seconds * SECOND), self.seconds)
        for _ in range(int(seconds * SECOND) // 512):
            self.buffer.receive_probability(0.0)

    def begin(self) -> None:
        _, start = self.buffer.open_utterance(0, lambda kind: kind)
        self.listener.begin("item", start)

    def show(self) -> bool:
        self.media.add_frame(b"jpeg", self.seconds, None)
        return self.listener.frames_changed()

    def frames(self) -> list[int]:
        assert self.listener.utterance is not None
        return [frame.id for frame in self.listener.utterance.item.frames]


def test_one_frame_is_replaced_while_the_user_speaks() -> None:
    ear = Ear()
    ear.hear(1.0)
    ear.begin()
    assert [ear.show(), ear.show()] == [True, True]
    assert ear.frames() == [2]


def test_several_frames_are_chosen_at_the_start_and_at_a_pause() -> None:
    ear = Ear(num_frames=3)
    ear.hear(1.0)
    ear.show()
    ear.begin()
    assert ear.frames() == [1]
    ear.hear(1.0)
    assert not ear.show()
    assert ear.frames() == [1]
    ear.listener.pause(SoftEnd(2 * SECOND), 2.2, may_be_answered=False)
    assert ear.frames() == [1, 2]
    assert ear.show(), "in a pause the choice is that of the end"


def test_a_pause_cuts_the_sound_only_if_it_may_be_answered() -> None:
    for may_be_answered, content in ((False, []), (True, [Audio(b"0:19200")])):
        ear = Ear()
        ear.begin()
        ear.hear(1.5)
        ear.listener.pause(SoftEnd(SECOND), 1.5, may_be_answered=may_be_answered)
        utterance = ear.listener.utterance
        assert utterance is not None
        assert utterance.item.content == content
        assert utterance.turn.timeline.soft_end == 1.5
        outlook = ear.listener.outlook([], 1.5, answers=True)
        assert outlook.is_pause is may_be_answered
        assert not ear.listener.outlook([], 1.5, answers=False).is_pause


def test_what_is_cut_at_a_pause_is_what_is_cut_at_the_end() -> None:
    ear = Ear()
    ear.begin()
    ear.hear(1.5)
    ear.listener.pause(SoftEnd(SECOND), 1.5, may_be_answered=True)
    said = ear.listener.utterance
    assert said is not None
    paused = (said.item.content, said.item.version, said.item.num_takes)
    ear.hear(0.3)
    assert ear.listener.end(HardEnd(SECOND, "silence"), 1.8) is said
    assert (said.item.content, said.item.version, said.item.num_takes) == paused
    assert ear.listener.utterance is None


def test_a_commit_by_the_client_takes_the_open_utterance_or_all_there_is() -> None:
    ear = Ear()
    with pytest.raises(EventRefused):
        ear.listener.end_by_client("new")
    ear.hear(1.0)
    assert ear.listener.end_by_client("new").item.id == "new"
    ear.hear(1.0)
    ear.begin()
    ear.hear(1.0)
    said = ear.listener.end_by_client("new")
    assert said.item.id == "item"
    assert said.item.content == [Audio(b"16000:48000")]


def test_between_turns_the_camera_decides_what_is_to_be_expected() -> None:
    ear = Ear()
    assert ear.listener.outlook([], 0.0, answers=True).at_least == "none"
    ear.show()
    assert ear.listener.outlook([], 1.0, answers=True).at_least == "vision"
    assert ear.listener.outlook([], 60.0, answers=True).at_least == "none", "it is stale"
    ear.begin()
    outlook = ear.listener.outlook([], 60.0, answers=True)
    assert (outlook.at_least, outlook.may_trim) == ("speech", False)
    ear.listener.forget()
    assert ear.listener.outlook([], 60.0, answers=True).may_trim


def test_what_is_disregarded_is_in_no_item_and_no_later_one() -> None:
    ear = Ear()
    ear.hear(2.0)
    ear.begin()
    ear.listener.disregard(HardEnd(SECOND, "silence"))
    assert ear.listener.utterance is None
    assert ear.buffer.utterance_id is None
    start, stop = ear.buffer.uncommitted()
    assert SECOND <= start < stop == 2 * SECOND


def test_a_timeout_takes_the_sound_that_it_is_told_and_no_more() -> None:
    ear = Ear()
    ear.hear(5.0)
    utterance = ear.listener.end_by_timeout("item", 3 * SECOND, 5 * SECOND)
    assert utterance.item.content == [Audio(b"48000:80000")]
    assert ear.buffer.recent() is None, "it is committed"
