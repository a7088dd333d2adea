"""What the terminal shows, and when a conversation is finished."""

from assistant.cli.captions import Captions

Event = dict[str, object]

STARTED: Event = {"type": "input_audio_buffer.speech_started"}
STOPPED: Event = {"type": "input_audio_buffer.speech_stopped"}
CREATED: Event = {"type": "response.created"}


def delta(text: str) -> Event:
    return {"type": "response.output_text.delta", "delta": text}


def done(status: str = "completed", **more: object) -> Event:
    return {"type": "response.done", "response": {"status": status, **more}}


def shown(captions: Captions, *events: tuple[float, Event]) -> str:
    return "".join(captions.receive_event(event, now) for now, event in events)


def test_captions_stream_and_end_with_the_latency() -> None:
    captions = Captions()
    text = shown(
        captions,
        (0.0, STARTED),
        (1.0, STOPPED),
        (1.1, CREATED),
        (1.25, delta("Hel")),
        (1.3, delta("lo.")),
        (1.5, done()),
    )
    assert text.startswith("assistant: Hello.\n")
    assert "first words 0.250 s, all 0.500 s" in text
    assert captions.is_finished


def test_a_model_cannot_send_orders_to_the_terminal() -> None:
    text = shown(Captions(), (0, delta("a\x1b[2J\r\n\tb\u009b é 😀")))
    assert text == "a\ufffd[2J\ufffd\n\tb\ufffd é 😀"


def test_the_timeline_of_the_service_is_shown_when_it_is_there() -> None:
    timeline = {"timeline": {"soft_end_ms": None, "hard_end_ms": 1500.2, "done_ms": 1712}}
    text = shown(Captions(), (0, CREATED), (1, done(assistant=timeline)))
    assert "service: hard_end +0, done +212 ms\n" in text
    nothing: tuple[object, ...] = (None, {}, {"timeline": {}}, {"timeline": {"a": None}})
    for none in nothing:
        assert "service" not in shown(Captions(), (0, CREATED), (1, done(assistant=none)))


def test_speech_that_was_not_answered_yet_keeps_the_conversation_open() -> None:
    captions = Captions()
    shown(captions, (0, STARTED), (1, STOPPED), (1, CREATED), (2, STARTED), (3, done()))
    assert not captions.is_finished
    shown(captions, (4, STOPPED), (4, CREATED), (5, done()))
    assert captions.is_finished
    assert captions.num_answers == 2


def test_an_interrupted_reply_is_no_answer() -> None:
    captions = Captions()
    text = shown(captions, (0, CREATED), (1, delta("He")), (2, done("cancelled")))
    assert text == "assistant: He [interrupted]\n"
    assert not captions.is_finished


def test_a_request_waits_for_its_answer() -> None:
    captions = Captions()
    captions.receive_request(1.0)
    assert not captions.is_finished
    text = shown(captions, (1.5, CREATED), (2.0, done("incomplete")))
    assert captions.is_finished
    assert "all 1.000 s" in text


def test_failures_are_shown_and_kept() -> None:
    captions = Captions()
    error = {"code": "no_free_slot", "message": "busy"}
    shown(captions, (0, CREATED), (1, done("failed", status_details={"error": error})))
    assert captions.failure == "no_free_slot: busy"
    assert not captions.is_finished
    captions = Captions()
    assert "busy" in shown(captions, (0, {"type": "error", "error": error}))
    assert captions.failure == "no_free_slot: busy"


def test_events_it_does_not_know_are_passed_over() -> None:
    assert shown(Captions(), (0, {"type": "session.created"}), (0, {})) == ""
