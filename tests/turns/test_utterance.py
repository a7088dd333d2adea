from assistant.config import PairingConfig
from assistant.turns.conversation import Audio, Item
from assistant.turns.utterance import Utterance
from assistant.turns.windows import windows_end
from tests.turns.harness import FakeMedia


def utterance() -> Utterance:
    return Utterance(Item(id="1", role="user", content=[]), 100)


def test_the_same_range_again_changes_nothing() -> None:
    said, media = utterance(), FakeMedia()
    said.hear(media, 100, 900)
    before = (said.item.num_takes, said.item.content)
    said.hear(media, 100, 900)
    assert (said.item.num_takes, said.item.content) == before
    assert said.item.content == [Audio(b"100:900")]


def test_another_range_is_another_take_and_leaves_the_pictures_alone() -> None:
    said, media = utterance(), FakeMedia()
    said.hear(media, 100, 900)
    said.hear(media, 100, 950)
    assert (said.item.num_takes, said.item.version) == (1, 0)
    assert said.item.content == [Audio(b"100:950")]


def test_what_is_taken_back_is_not_heard_and_not_to_be_answered() -> None:
    said, media = utterance(), FakeMedia()
    said.hear(media, 100, 900)
    said.may_be_answered = True
    said.take_back()
    assert (said.item.content, said.may_be_answered) == ([], False)
    said.hear(media, 100, 900)
    assert said.item.num_takes == 1, "another key than that of the first take"


def test_seeing_says_whether_the_choice_of_frames_has_changed() -> None:
    said, media = utterance(), FakeMedia()
    assert not said.see(media, 0.0, 1.0, PairingConfig())
    media.add_frame(b"jpeg", 0.5, None)
    assert said.see(media, 0.0, 1.0, PairingConfig())
    assert not said.see(media, 0.0, 1.0, PairingConfig())
    media.clear_frames()
    assert said.see(media, 0.0, 1.0, PairingConfig())
    assert said.item.version == 2


LONG = windows_end(1) + 100


def test_of_a_long_utterance_what_is_said_for_good_is_there_to_be_read() -> None:
    said, media = utterance(), FakeMedia()
    assert not said.hear_windows(media, LONG - 1)
    assert said.hear_windows(media, LONG)
    assert said.item.content == [Audio(f"100:{LONG}".encode())]
    assert not said.hear_windows(media, LONG + 1), "once each"


def test_resumed_speech_leaves_the_windows_that_were_complete() -> None:
    said, media = utterance(), FakeMedia()
    said.hear_windows(media, LONG)
    said.hear(media, 100, LONG + 900)
    said.take_back()
    assert said.item.content == [Audio(f"100:{LONG}".encode())]
    assert said.item.version == 0, "what was read of it holds"


def test_in_a_pause_no_window_is_complete_for_good() -> None:
    said, media = utterance(), FakeMedia()
    said.paused_at = LONG - 50
    assert not said.hear_windows(media, LONG)


def test_an_utterance_that_begins_elsewhere_is_read_anew() -> None:
    said, media = utterance(), FakeMedia()
    said.hear_windows(media, LONG)
    said.begin_anew(300)
    said.hear(media, 300, LONG)
    said.take_back()
    assert (said.item.content, said.item.version) == ([], 1)
