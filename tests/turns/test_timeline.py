from assistant.turns.timeline import Timeline


def test_the_wire_has_milliseconds_and_null_for_what_did_not_happen() -> None:
    wire = Timeline(speech_end=1.2345678, done=2.0).to_wire()
    assert (wire["speech_end_ms"], wire["done_ms"]) == (1234.57, 2000.0)
    assert wire["soft_end_ms"] is None
    assert all(name.endswith("_ms") for name in wire)


def test_the_instants_stand_in_the_order_they_happen_in() -> None:
    assert list(Timeline().to_wire()) == [
        "speech_end_ms",
        "soft_end_ms",
        "hard_end_ms",
        "committed_ms",
        "admitted_ms",
        "first_token_ms",
        "first_byte_ms",
        "done_ms",
    ]


def test_a_log_line_shows_the_gaps_between_what_happened() -> None:
    timeline = Timeline(speech_end=1.0, hard_end=1.5, first_token=1.62, done=2.0)
    assert str(timeline) == "hard_end +500 ms, first_token +120 ms, done +380 ms"


def test_one_instant_alone_has_no_gap() -> None:
    assert str(Timeline()) == str(Timeline(done=1.0)) == ""
