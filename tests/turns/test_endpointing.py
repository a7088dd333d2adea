from dataclasses import fields, replace

import pytest
from hypothesis import given, strategies as st

from assistant.config import EndpointingConfig
from assistant.turns.endpointing import (
    FADE_MS,
    SAMPLES_PER_MS,
    SILERO_HANGOVER_MS,
    TRANSITIONS,
    WINDOW_SAMPLES,
    Boundary,
    Endpointer,
    Endpointing,
    HardEnd,
    Sign,
    SoftEnd,
    SpeechResumed,
    SpeechStarted,
    State,
)

W = WINDOW_SAMPLES
SPEECH, FADING, UNSURE, SILENCE = 1.0, 0.7, 0.4, 0.0

# Two windows open an utterance, three of silence are a soft end, five a hard end, one
# window of padding, no hang-over: small enough to count on fingers.
PLAIN = Endpointing(
    threshold=0.5,
    hysteresis=0.15,
    start_ms=64,
    prefix_padding_ms=32,
    soft_silence_ms=96,
    silence_duration_ms=160,
    max_utterance_s=1000.0,
    hangover_ms=0,
)


def hear(endpointer: Endpointer, pattern: str) -> list[Boundary]:
    """Feed windows: ``x`` clear speech, ``f`` fading, ``?`` unsure, ``.`` silence."""
    level = {"x": SPEECH, "f": FADING, "?": UNSURE, ".": SILENCE}
    return [b for sign in pattern for b in endpointer.receive(level[sign])]


def changed(**settings: float) -> Endpointing:
    return replace(PLAIN, **settings)  # type: ignore[arg-type]  # whole numbers are ints


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("....", []),
        ("..x..x.x...", []),
        ("..xx", [SpeechStarted(1 * W, 2 * W)]),
        ("xx", [SpeechStarted(0, 0)]),
        ("x?x", [SpeechStarted(0, 0)]),
        ("x??x?xx", [SpeechStarted(2 * W, 3 * W)]),
        ("..xxxx..", [SpeechStarted(1 * W, 2 * W)]),
        ("..xxxx...", [SpeechStarted(1 * W, 2 * W), SoftEnd(6 * W)]),
        (
            "..xxxx....x",
            [SpeechStarted(1 * W, 2 * W), SoftEnd(6 * W), SpeechResumed(10 * W)],
        ),
        (
            "..xxxx.....",
            [SpeechStarted(1 * W, 2 * W), SoftEnd(6 * W), HardEnd(6 * W, "silence")],
        ),
        (
            "xx...x...x.....",
            [
                SpeechStarted(0, 0),
                SoftEnd(2 * W),
                SpeechResumed(5 * W),
                SoftEnd(6 * W),
                SpeechResumed(9 * W),
                SoftEnd(10 * W),
                HardEnd(10 * W, "silence"),
            ],
        ),
    ],
)
def test_boundaries_fall_where_the_rules_say(
    pattern: str, expected: list[Boundary]
) -> None:
    assert hear(Endpointer(PLAIN), pattern) == expected


def test_speech_is_from_the_threshold_up_and_silence_below_the_hysteresis() -> None:
    assert Endpointer(changed(start_ms=0)).receive(0.5) == [SpeechStarted(0, 0)]
    assert Endpointer(changed(start_ms=0)).receive(0.4999) == []
    for probability, is_silence in [(0.35, False), (0.3499, True)]:
        endpointer = Endpointer(changed(start_ms=0, soft_silence_ms=32))
        endpointer.receive(SPEECH)
        assert endpointer.receive(probability) == ([SoftEnd(W)] if is_silence else [])


def test_padding_stops_at_the_end_of_the_utterance_before() -> None:
    endpointer = Endpointer(changed(prefix_padding_ms=32 * 100))
    hear(endpointer, "xx.....")
    assert hear(endpointer, ".xx") == [SpeechStarted(2 * W, 8 * W)]


def test_padding_of_zero_starts_at_the_onset() -> None:
    assert hear(Endpointer(changed(prefix_padding_ms=0)), ".xx") == [SpeechStarted(W, W)]


def test_soft_and_hard_end_coincide_when_their_times_do() -> None:
    endpointer = Endpointer(changed(soft_silence_ms=5000))
    hear(endpointer, "xx")
    assert hear(endpointer, "....") == []
    assert hear(endpointer, ".") == [SoftEnd(2 * W), HardEnd(2 * W, "silence")]


def test_the_hangover_moves_the_end_back_and_counts_as_silence() -> None:
    endpointer = Endpointer(changed(hangover_ms=64))
    hear(endpointer, "xxxxxx")
    assert hear(endpointer, "..") == [SoftEnd(4 * W)]
    assert hear(endpointer, ".") == [HardEnd(4 * W, "silence")]


def test_the_hangover_leaves_at_least_one_window_of_a_short_utterance() -> None:
    endpointer = Endpointer(changed(hangover_ms=1000))
    (started,) = hear(endpointer, ".xx")
    assert isinstance(started, SpeechStarted)
    assert hear(endpointer, "....")[-1] == HardEnd(started.onset + W, "silence")


def test_windows_that_fade_are_not_speech_to_the_ear() -> None:
    endpointer = Endpointer(PLAIN)
    hear(endpointer, "xxxff")
    assert hear(endpointer, "..") == [SoftEnd(3 * W)]
    assert hear(endpointer, "f") == [SpeechResumed(7 * W)]


def test_half_of_a_silence_must_follow_the_last_speech_window() -> None:
    endpointer = Endpointer(changed(hangover_ms=1000))
    hear(endpointer, "xxxxxxxxxx")
    assert hear(endpointer, ".") == []
    assert hear(endpointer, ".") == [SoftEnd(W)]
    assert hear(endpointer, ".") == [HardEnd(W, "silence")]


def test_padding_longer_than_an_utterance_may_be_leaves_room_for_speech() -> None:
    endpointer = Endpointer(changed(prefix_padding_ms=5000, max_utterance_s=1.024))
    hear(endpointer, "." * 100)
    assert hear(endpointer, "xx") == [SpeechStarted(84 * W, 100 * W)]
    assert hear(endpointer, "x" * 14) == [HardEnd(116 * W, "max_length")]


def test_a_long_low_voice_is_not_taken_for_fading() -> None:
    num_windows = 20
    endpointer = Endpointer(changed(silence_duration_ms=500))
    hear(endpointer, "xx" + "f" * num_windows)
    assert endpointer.speaking
    (soft,) = hear(endpointer, "..")
    assert soft == SoftEnd((2 + num_windows) * W - FADE_MS * SAMPLES_PER_MS)


def test_unsure_windows_hold_off_the_end_but_not_for_ever() -> None:
    held_off = hear(Endpointer(PLAIN), "xx?????.")
    assert held_off == [SpeechStarted(0, 0), SoftEnd(2 * W), HardEnd(2 * W, "silence")]
    endpointer = Endpointer(PLAIN)
    assert hear(endpointer, "xx" + "?" * 5) == [SpeechStarted(0, 0)]
    assert hear(endpointer, "?") == [SoftEnd(2 * W)]
    assert hear(endpointer, "????") == [HardEnd(2 * W, "silence")]


def test_an_utterance_that_is_too_long_is_cut_and_the_next_follows_without_a_gap() -> None:
    endpointer = Endpointer(changed(max_utterance_s=0.16))
    assert hear(endpointer, "xxxxx") == [SpeechStarted(0, 0), HardEnd(5 * W, "max_length")]
    assert not endpointer.speaking
    assert hear(endpointer, "xx") == [SpeechStarted(5 * W, 5 * W)]


def test_a_cut_in_a_pause_is_a_cut_too() -> None:
    endpointer = Endpointer(changed(max_utterance_s=0.16))
    assert hear(endpointer, "x" * 2 + "...")[-1] == HardEnd(5 * W, "max_length")


def test_speaking_lasts_from_the_start_to_the_hard_end() -> None:
    endpointer = Endpointer(PLAIN)
    seen = []
    for sign in ".xxx.....":
        hear(endpointer, sign)
        seen.append(endpointer.speaking)
    assert seen == [False, False, True, True, True, True, True, True, False]


def test_position_counts_every_window() -> None:
    endpointer = Endpointer(PLAIN)
    hear(endpointer, "..xx")
    assert endpointer.position == 4 * W


def test_other_settings_do_not_reset_a_running_utterance() -> None:
    endpointer = Endpointer(PLAIN)
    hear(endpointer, "xxx..")
    endpointer.configure(changed(silence_duration_ms=32 * 8))
    assert endpointer.speaking
    assert hear(endpointer, ".....") == [SoftEnd(3 * W)]
    assert hear(endpointer, ".") == [HardEnd(3 * W, "silence")]


def test_a_shorter_silence_takes_effect_in_the_running_pause() -> None:
    endpointer = Endpointer(PLAIN)
    hear(endpointer, "xx...")
    endpointer.configure(changed(silence_duration_ms=32))
    assert hear(endpointer, ".") == [HardEnd(2 * W, "silence")]


def test_reset_forgets_the_utterance_and_keeps_counting() -> None:
    endpointer = Endpointer(changed(prefix_padding_ms=1000))
    hear(endpointer, "xxx")
    endpointer.reset()
    assert not endpointer.speaking
    assert endpointer.position == 3 * W
    assert hear(endpointer, "......") == []
    assert hear(endpointer, "xx") == [SpeechStarted(3 * W, 9 * W)]


def test_settings_come_from_the_configuration() -> None:
    config = EndpointingConfig(threshold=0.7, silence_duration_ms=800)
    settings = Endpointing.from_config(config, hangover_ms=32)
    for field in fields(config):
        assert getattr(settings, field.name) == getattr(config, field.name)
    assert settings.hangover_ms == 32
    assert Endpointing.from_config(config).hangover_ms == SILERO_HANGOVER_MS


def test_every_state_knows_what_speech_and_its_absence_mean() -> None:
    for state in State:
        assert (state, Sign.SPEECH) in TRANSITIONS
        assert (state, Sign.NO_SPEECH) in TRANSITIONS


def test_a_clap_opens_nothing_and_two_clear_windows_do() -> None:
    endpointer = Endpointer(changed(start_ms=96))
    assert hear(endpointer, "fxf.") == []
    assert hear(endpointer, "fxx") == [SpeechStarted(3 * W, 4 * W)]


def test_murmur_opens_only_when_it_lasts() -> None:
    endpointer = Endpointer(PLAIN)
    assert hear(endpointer, "f" * 11 + ".") == []
    assert hear(endpointer, "f" * 12) == [SpeechStarted(11 * W, 12 * W)]


settings_strategy = st.builds(
    Endpointing,
    threshold=st.floats(0, 1),
    hysteresis=st.floats(0, 0.5),
    start_ms=st.integers(0, 200),
    prefix_padding_ms=st.integers(0, 500),
    soft_silence_ms=st.integers(32, 300),
    silence_duration_ms=st.integers(32, 300),
    max_utterance_s=st.floats(1, 2),
    hangover_ms=st.integers(0, 200),
    longest_silence_ms=st.integers(0, 400),
    veto_ms=st.integers(0, 500),
)


@given(
    settings_strategy, st.lists(st.sampled_from([0.0, 0.3, 0.45, 0.6, 1.0]), max_size=80)
)
def test_every_stream_of_boundaries_is_well_formed(
    settings: Endpointing, probabilities: list[float]
) -> None:
    endpointer = Endpointer(settings)
    is_open = is_paused = False
    start = previous_end = 0
    for probability in probabilities:
        for boundary in endpointer.receive(probability):
            assert 0 <= boundary.at <= endpointer.position
            match boundary:
                case SpeechStarted(at, onset):
                    assert not is_open
                    assert previous_end <= at <= onset
                    assert onset - at <= settings.prefix_padding_ms * SAMPLES_PER_MS
                    is_open, is_paused, start = True, False, at
                case SoftEnd(at):
                    assert is_open
                    assert not is_paused
                    assert at > start
                    is_paused = True
                case SpeechResumed():
                    assert is_open
                    assert is_paused
                    is_paused = False
                case HardEnd(at, reason):
                    assert is_open
                    assert is_paused or reason == "max_length"
                    assert at > start
                    is_open, previous_end = False, at
        assert endpointer.speaking == is_open


PATIENT = replace(PLAIN, soft_silence_ms=192, silence_duration_ms=512)
"""Six windows of silence are a soft end, sixteen a hard end."""


def soft_ends(endpointer: Endpointer, pattern: str) -> list[int]:
    """Return after how many windows of silence each SoftEnd of that sound came."""
    return [
        (endpointer.position - boundary.at) // W
        for sign in pattern
        for boundary in hear(endpointer, sign)
        if isinstance(boundary, SoftEnd)
    ]


def test_a_pause_that_was_gone_on_after_makes_the_next_soft_end_wait_longer() -> None:
    endpointer = Endpointer(PATIENT)
    pause = "x" * 9 + "." * 9
    assert soft_ends(endpointer, pause * 3 + "x") == [6], (
        "the same pause again fools nobody"
    )
    assert soft_ends(endpointer, "." * 12 + "x") == [10]


def test_a_soft_end_leaves_its_margin_before_the_hard_end() -> None:
    pauses = ("x" * 9 + "." * 15) * 3
    assert soft_ends(Endpointer(PATIENT), pauses) == [6, 13, 13]


def test_a_patient_client_is_not_guessed_at_long_before_the_end() -> None:
    endpointer = Endpointer(replace(PATIENT, silence_duration_ms=3200))
    assert soft_ends(endpointer, "x" * 9 + "." * 110) == [69], "2.2 s of 3.2"


def test_long_pauses_are_forgotten_from_turn_to_turn() -> None:
    endpointer = Endpointer(PATIENT)
    soft_ends(endpointer, "x" * 9 + "." * 12 + "x" * 9)
    turns = [soft_ends(endpointer, "." * 20 + "x" * 9) for _ in range(5)]
    delays = [delay for (delay,) in turns]
    assert delays == sorted(delays, reverse=True)
    assert (delays[0], delays[-1]) == (13, 6)


def test_patience_never_falls_below_what_is_configured() -> None:
    endpointer = Endpointer(replace(PATIENT, soft_silence_ms=480))
    assert soft_ends(endpointer, ("x" * 9 + "." * 15) * 3) == [15, 15, 15]
