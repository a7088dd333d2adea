import pytest

from assistant.config import EndpointingConfig
from assistant.turns.endpointing import (
    Boundary,
    Endpointing,
    HardEnd,
    SoftEnd,
    SpeechStarted,
)
from assistant.turns.input_buffer import TRAILING_SAMPLES, InputBuffer, milliseconds
from assistant.wire.refusals import EventRefused

WINDOW = 512
SECOND = 16_000


class Bench:
    """A buffer that hears windows as they are spoken."""

    def __init__(self, limit_s: float = 10.0, started: float = 0.0) -> None:
        endpointing = Endpointing.from_config(EndpointingConfig(), hangover_ms=0)
        self.buffer = InputBuffer(endpointing, limit_s)
        self.now = started

    def hear(self, probability: float, num_windows: int) -> list[Boundary]:
        found = []
        for _ in range(num_windows):
            self.now += WINDOW / SECOND
            self.buffer.receive_audio(WINDOW, self.now)
            found += self.buffer.receive_probability(probability)
        return found

    def speak(self, num_windows: int = 30) -> SpeechStarted:
        (started,) = self.hear(0.95, num_windows)
        assert isinstance(started, SpeechStarted)
        return started

    def fall_silent(self) -> HardEnd:
        soft, hard = self.hear(0.01, 20)
        assert isinstance(soft, SoftEnd)
        assert isinstance(hard, HardEnd)
        return hard


def new_id(kind: str) -> str:
    return f"{kind}_1"


def test_an_utterance_reserves_its_id_and_has_a_little_silence_after_it() -> None:
    bench = Bench()
    bench.hear(0.01, 30)
    started = bench.speak()
    assert bench.buffer.open_utterance(started.at, new_id) == ("item_1", started.at)
    assert bench.buffer.utterance_id == "item_1"
    hard = bench.fall_silent()
    assert hard.at == 60 * WINDOW
    assert bench.buffer.utterance(hard) == (started.at, hard.at + TRAILING_SAMPLES)


def test_a_clip_ends_with_what_was_judged_when_that_is_sooner() -> None:
    bench = Bench()
    started = bench.speak()
    bench.buffer.open_utterance(started.at, new_id)
    judged = 30 * WINDOW
    assert bench.buffer.utterance(HardEnd(judged - 100, "max_length")) == (0, judged)


def test_the_next_utterance_does_not_take_what_was_committed() -> None:
    bench = Bench()
    bench.buffer.open_utterance(bench.speak().at, new_id)
    stop = bench.buffer.utterance(bench.fall_silent())[1]
    bench.buffer.committed(stop)
    assert bench.buffer.utterance_id is None
    assert bench.buffer.open_utterance(stop - 1000, new_id)[1] == stop


def test_committing_never_gives_sound_back() -> None:
    bench = Bench()
    bench.hear(0.01, 50)
    bench.buffer.committed(50 * WINDOW)
    bench.buffer.committed(10 * WINDOW)
    with pytest.raises(EventRefused, match=r"only has 0\.00ms"):
        bench.buffer.uncommitted()


def test_a_client_takes_everything_since_the_last_commit() -> None:
    bench = Bench()
    bench.hear(0.01, 10)
    assert bench.buffer.uncommitted() == (0, 10 * WINDOW)
    bench.buffer.committed(10 * WINDOW)
    bench.hear(0.01, 5)
    assert bench.buffer.uncommitted() == (10 * WINDOW, 15 * WINDOW)


def test_a_client_that_commits_while_somebody_speaks_takes_the_utterance() -> None:
    bench = Bench()
    bench.hear(0.01, 60)
    started = bench.speak()
    bench.buffer.open_utterance(started.at, new_id)
    assert bench.buffer.uncommitted() == (started.at, 90 * WINDOW)


@pytest.mark.parametrize(("num_samples", "is_enough"), [(1599, False), (1600, True)])
def test_a_commit_takes_100_ms_at_least(num_samples: int, is_enough: bool) -> None:
    buffer = Bench().buffer
    buffer.receive_audio(num_samples, 0.1)
    if is_enough:
        assert buffer.uncommitted() == (0, num_samples)
        return
    with pytest.raises(EventRefused, match=r"only has 99\.94ms") as caught:
        buffer.uncommitted()
    assert caught.value.code == "input_audio_buffer_commit_empty"


def test_a_buffer_that_only_the_client_empties_is_refused_more_than_its_bound() -> None:
    buffer = Bench(limit_s=1.0).buffer
    buffer.receive_audio(SECOND - 10, 1.0)
    buffer.check_room(10)
    with pytest.raises(EventRefused, match="holds 1 s") as caught:
        buffer.check_room(11)
    assert (caught.value.code, caught.value.param) == ("input_audio_buffer_full", "audio")
    buffer.committed(SECOND // 2)
    buffer.check_room(SECOND // 2)


def test_a_buffer_that_is_judged_forgets_its_oldest_sound() -> None:
    bench = Bench(limit_s=1.0)
    bench.hear(0.01, 100)
    assert bench.buffer.uncommitted() == (100 * WINDOW - SECOND, 100 * WINDOW)
    assert bench.buffer.open_utterance(0, new_id)[1] == 100 * WINDOW - SECOND


def test_clearing_leaves_nothing_to_commit_and_no_utterance() -> None:
    bench = Bench()
    bench.buffer.open_utterance(bench.speak().at, new_id)
    bench.buffer.clear()
    assert bench.buffer.utterance_id is None
    with pytest.raises(EventRefused):
        bench.buffer.uncommitted()


def test_after_speech_was_forgotten_it_starts_again_where_the_sound_is() -> None:
    bench = Bench()
    bench.buffer.open_utterance(bench.speak().at, new_id)
    bench.buffer.forget_speech()
    assert bench.buffer.utterance_id is None
    assert bench.hear(0.01, 40) == [], "the utterance that was forgotten has no end"
    assert bench.speak().onset == 70 * WINDOW


def test_settings_change_under_an_open_utterance_and_it_goes_on() -> None:
    bench = Bench()
    bench.buffer.open_utterance(bench.speak().at, new_id)
    patient = EndpointingConfig(silence_duration_ms=1000)
    bench.buffer.configure(Endpointing.from_config(patient, hangover_ms=0))
    (soft,) = bench.hear(0.01, 20)
    assert isinstance(soft, SoftEnd)
    assert bench.buffer.utterance_id == "item_1"
    (hard,) = bench.hear(0.01, 20)
    assert isinstance(hard, HardEnd)


def test_an_utterance_before_a_pause_in_the_stream_keeps_its_time() -> None:
    """A user who mutes at once after a question is paired with what the camera saw then."""
    bench = Bench(started=4.0)
    bench.buffer.open_utterance(bench.speak().at, new_id)
    spoken_until = bench.now
    bench.now += 10.0
    hard = bench.fall_silent()
    assert bench.buffer.seconds(hard.at) == pytest.approx(spoken_until, abs=0.001)


def test_an_utterance_after_a_pause_in_the_stream_does_not_reach_before_it() -> None:
    """Its padding is sound from before the pause; pictures from then are not its own."""
    bench = Bench()
    bench.hear(0.01, 30)
    bench.now += 10.0
    onset_s = bench.now
    started = bench.speak()
    start_s, stop_s = bench.buffer.times(started.at, started.onset + 30 * WINDOW)
    assert stop_s == pytest.approx(bench.now)
    assert start_s == pytest.approx(onset_s - 0.3)


def test_the_wire_counts_whole_milliseconds_of_sound() -> None:
    assert [milliseconds(sample) for sample in (0, 15, 16, 512, 16_000)] == [
        0,
        0,
        1,
        32,
        1000,
    ]


def test_the_recent_sound_is_two_seconds_of_what_was_not_committed() -> None:
    bench = Bench()
    assert bench.buffer.recent() is None
    bench.hear(0.01, 31)
    assert bench.buffer.recent() == (0, 31 * WINDOW)
    bench.hear(0.01, 100)
    assert bench.buffer.recent() == (131 * WINDOW - 2 * SECOND, 131 * WINDOW)
    bench.buffer.committed(131 * WINDOW)
    assert bench.buffer.recent() is None


def test_what_was_judged_is_counted() -> None:
    bench = Bench()
    bench.hear(0.01, 3)
    assert bench.buffer.judged == 3 * WINDOW
