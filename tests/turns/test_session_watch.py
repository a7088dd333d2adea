"""A session that watches: what it looks at, what it says, and when it must not."""

import itertools

import pytest

from assistant.config import Config, EarlyConfig, LimitsConfig, TranscriptsConfig
from assistant.turns.watch import QUIET_S
from assistant.turns.watching import MAX_IN_PROMPT, METADATA
from assistant.wire import client_events as client, link, server_events as wire
from tests.turns.harness import (
    ANSWER,
    CLOSING,
    READY,
    Bench,
    prompt_of,
    shown,
    text_item,
)

PLAIN = Config(early=EarlyConfig(speculation=False))
QUESTION = "Do you see a star?"
SPOKEN_UP = ["response.created", *ANSWER[:-1], *CLOSING]
"""In one go: a single delta."""


def watching(config: Config = PLAIN, **keys: object) -> Bench:
    """Return a bench whose client wants to hear of a star."""
    bench = Bench(config)
    watch = {"instruction": QUESTION, "min_gap_ms": 0, **keys}
    bench.update(assistant={"watch": watch})
    bench.now = 10.0
    bench.forget()
    return bench


def show(bench: Bench) -> None:
    bench.client(client.InputImageAppend(image=b"jpeg"))


def sees(bench: Bench, *words: str) -> None:
    """Show something a while later, and let the model answer about it."""
    bench.now += 1.0
    show(bench)
    bench.answer(*words)
    bench.finish()


def looks(bench: Bench) -> list[link.Open]:
    return [order for order in bench.orders(link.Open) if order.is_background]


# --- what it does ------------------------------------------------------------------------


def test_who_has_not_asked_for_it_is_never_spoken_to() -> None:
    bench = Bench(PLAIN)
    for _ in range(5):
        bench.now += 1.0
        show(bench)
    assert bench.orders(link.Generate) == []


def test_what_is_seen_becomes_a_response_without_a_user_item() -> None:
    bench = watching()
    sees(bench, "Yes, I see", " a star.")
    assert bench.types() == SPOKEN_UP
    (delta,) = bench.events(wire.TextDelta)
    assert delta.delta == "Yes, I see a star."
    done = bench.done()
    assert (done.status, done.metadata, done.conversation_id) == (
        "completed",
        METADATA,
        bench.events(wire.ResponseCreated)[0].response.conversation_id,
    )
    assert done.usage is not None
    vendor = done.assistant
    assert isinstance(vendor, dict)
    (frame,) = vendor["frames"]
    assert (frame["id"], frame["used"], frame["captured_ms"]) == (1, True, 11_000.0)
    assert vendor["watch"]["instruction"] == QUESTION
    assert (vendor["watch"]["looks"], vendor["watch"]["said"]) == (1, 1)


def test_the_model_is_asked_in_the_background_about_one_picture_and_nothing_else() -> None:
    bench = watching()
    bench.client(text_item("Hello."))
    bench.update(instructions="Be brief.")
    bench.forget()
    show(bench)
    (look,) = looks(bench)
    assert look.adapter == "vision"
    appends = [a for a in bench.orders(link.Append) if a.sequence == look.sequence]
    assert shown([part for append in appends for part in append.parts]) == (
        "<system> Be brief. <end> <user> [frame 1 x1] Do you see a star? <end> <assistant>"
    )
    (generate,) = bench.orders(link.Generate)
    assert generate.sampling.max_tokens == PLAIN.watch.max_output_tokens
    assert generate.sampling.temperature == 0.0


def test_nothing_to_say_is_nothing_to_hear_of_and_nothing_is_left_in_the_engine() -> None:
    bench = watching()
    sees(bench, "No, I see no star.")
    assert bench.types() == []
    assert [order.sequence for order in bench.orders(link.Close)] == [
        order.sequence for order in looks(bench)
    ]


def test_later_turns_know_what_was_said() -> None:
    bench = watching()
    sees(bench, "Yes, I see a star.")
    bench.client(text_item("Where?"))
    bench.client(client.ResponseCreate())
    assert "<assistant> Yes, I see a star. <end>" in prompt_of(bench)


def test_later_prompts_hold_the_latest_of_what_was_said_unasked() -> None:
    bench = watching(say="changes", max_per_minute=6)
    for number in range(MAX_IN_PROMPT + 3):
        bench.now += 60.0
        sees(bench, f"Number {number}.")
    items = bench.session._conversation.items
    assert [item.is_in_prompt for item in items] == [False] * 3 + [True] * MAX_IN_PROMPT


def test_an_answer_that_would_have_been_longer_is_said_and_marked() -> None:
    bench = watching()
    show(bench)
    bench.answer("Yes, and")
    bench.finish("length")
    assert bench.done().status == "incomplete"


def test_a_full_conversation_fails_what_was_to_be_said() -> None:
    bench = watching(Config(limits=LimitsConfig(conversation_items=2)))
    bench.client(text_item("one"))
    bench.client(text_item("two"))
    bench.forget()
    sees(bench, "Yes.")
    assert bench.types() == ["response.created", "response.done"]
    assert bench.done().status == "failed"


def test_a_session_for_transcripts_watches_nothing() -> None:
    bench = Bench(PLAIN)
    bench.update(type="transcription", assistant={"watch": {"instruction": QUESTION}})
    show(bench)
    assert looks(bench) == []


def test_the_session_asks_to_be_woken_for_the_next_look() -> None:
    bench = watching()
    sees(bench, "no")
    show(bench)
    assert len(looks(bench)) == 1
    due = bench.session.deadline()
    assert bench.now < due <= bench.now + 0.5
    bench.timer(due)
    assert len(looks(bench)) == 2


def test_an_old_picture_is_not_looked_at() -> None:
    bench = watching()
    bench.hear(0.95, 1.0)
    show(bench)
    bench.hear(0.95, 4.0)
    bench.hear(0.02, 0.7)
    bench.answer("Hello.")
    bench.finish()
    bench.timer(bench.now + 1.0)
    assert looks(bench) == []


# --- when it must not --------------------------------------------------------------------


def test_a_look_ends_when_the_user_speaks_and_is_made_again_after_the_answer() -> None:
    bench = watching()
    show(bench)
    (look,) = looks(bench)
    generate = bench.newest()
    bench.hear(0.95, 0.3)
    assert look.sequence in [order.sequence for order in bench.orders(link.Close)]
    bench.report(link.Token(*generate, [1], "Yes."))
    bench.hear(0.02, 0.7)
    bench.answer("Hello.")
    assert len(looks(bench)) == 1
    bench.finish()
    assert bench.done().metadata is None
    assert len(looks(bench)) == 1, "the user may go on"
    show(bench)
    bench.timer(bench.now + QUIET_S)
    assert len(looks(bench)) == 2


def test_what_was_seen_is_not_said_to_somebody_who_began_to_speak() -> None:
    bench = watching()
    show(bench)
    bench.answer("Yes.")
    bench.hear(0.95, 0.1)
    bench.finish()
    assert bench.events(wire.ResponseCreated) == []


def test_while_an_answer_is_given_nothing_is_looked_at() -> None:
    bench = watching()
    bench.client(text_item("Hello."))
    bench.client(client.ResponseCreate())
    show(bench)
    bench.answer("Hi", " there.")
    show(bench)
    assert looks(bench) == []


def test_what_is_committed_by_hand_is_not_spoken_over() -> None:
    bench = Bench(PLAIN)
    bench.update(
        assistant={"watch": {"instruction": QUESTION}},
        audio={"input": {"turn_detection": None}},
    )
    bench.hear(0.0, 0.3)
    show(bench)
    assert looks(bench) == []
    bench.client(client.InputAudioCommit())
    assert looks(bench) == [], "the client is about to ask"
    bench.timer(bench.now + QUIET_S)
    assert len(looks(bench)) == 1


def test_what_is_said_unasked_is_spoken_to_its_end_before_the_next_look() -> None:
    bench = watching(say="changes")
    bench.update(assistant={"speaks_aloud": "yes"})
    sees(bench, "x" * 28)
    bench.now += 1.0
    show(bench)
    assert len(looks(bench)) == 1
    due = bench.session.deadline()
    assert due == pytest.approx(11.0 + 3.0)
    bench.timer(due)
    assert len(looks(bench)) == 2


def test_a_new_engine_looks_again() -> None:
    bench = watching()
    show(bench)
    bench.engine(None)
    bench.now += 1.0
    show(bench)
    assert len(looks(bench)) == 1
    bench.engine(READY)
    assert len(looks(bench)) == 2
    bench.answer("Yes.")
    bench.finish()
    assert bench.types() == SPOKEN_UP


def test_a_look_that_the_engine_refuses_is_no_ones_business() -> None:
    bench = watching()
    show(bench)
    bench.fail("context_length_exceeded", of_append=True)
    assert bench.types() == []
    bench.now += 1.0
    show(bench)
    assert len(looks(bench)) == 1


def test_ending_the_watch_or_the_session_ends_the_look() -> None:
    for end in ("watch", "session"):
        bench = watching()
        show(bench)
        if end == "watch":
            bench.update(assistant={"watch": None})
        else:
            bench.session.close()
            bench.take()
        (look,) = looks(bench)
        assert [order.sequence for order in bench.orders(link.Close)] == [look.sequence]
        if end == "watch":
            show(bench)
            assert len(looks(bench)) == 1


def test_transcripts_and_the_watch_go_on_side_by_side() -> None:
    bench = watching(Config(transcripts=TranscriptsConfig(), early=PLAIN.early))
    bench.update(audio={"input": {"transcription": {"model": "phi"}}})
    bench.speak()
    bench.answer("Hello.")
    bench.finish()
    transcript = bench.newest()
    bench.hear(0.02, 1.0)
    show(bench)
    assert len(looks(bench)) == 2
    bench.report(link.Token(*transcript, [1], "words"))
    assert len(bench.events(wire.TranscriptDelta)) == 1
    bench.answer("Yes.")
    bench.finish()
    assert bench.types()[-1] == "response.done"


def test_numbers_of_sequences_are_never_used_twice() -> None:
    bench = watching(say="changes")
    for number in range(4):
        sees(bench, f"Number {number}.")
        bench.speak()
        bench.answer("Hello.")
        bench.finish()
    numbers = [order.sequence for order in bench.orders(link.Open)]
    assert all(one < other for one, other in itertools.pairwise(numbers))
