"""What a session asks of the engine, and what it makes of a failing one."""

from assistant.config import Config, PairingConfig
from assistant.wire import client_events as client, link, server_events as wire
from tests.turns.harness import (
    CLOSING,
    READY,
    VAD_TURN,
    Bench,
    prompt_of,
    text_item,
)


def test_what_was_heard_of_a_cancelled_answer_stays_in_the_next_prompt() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("One", " two")
    bench.hear(0.95, 0.5)
    bench.forget()
    bench.hear(0.02, 0.7)
    # The engine keeps the two tokens that were sent: only what follows is appended, and
    # the end of the answer was while the user still spoke.
    assert bench.orders(link.Rollback) == []
    assert prompt_of(bench).startswith("<user> [audio")


def test_a_cancel_before_the_first_token_leaves_no_item_behind() -> None:
    bench = Bench()
    bench.speak()
    bench.forget()
    bench.client(client.ResponseCancel())
    assert bench.types() == ["response.done"]
    assert bench.done().output == []
    # The reply's header is rolled back at once; both questions stand in one user turn.
    assert bench.orders(link.Rollback) == [link.Rollback(1, 1)]
    bench.forget()
    bench.speak()
    assert bench.orders(link.Rollback) == []
    assert prompt_of(bench).startswith("[audio")


def test_a_second_turn_appends_only_what_is_new() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("Yes")
    bench.finish()
    assert prompt_of(bench).endswith("<assistant> <end>"), "in the time between the turns"
    bench.forget()
    bench.speak()
    assert bench.orders(link.Open) == []
    assert bench.orders(link.Rollback) == []
    assert prompt_of(bench).startswith("<user> [audio")


def test_switching_the_camera_on_opens_a_sequence_of_the_other_adapter() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("Yes")
    bench.finish()
    bench.forget()
    bench.client(client.InputImageAppend(image=b"jpeg"))
    bench.speak()
    assert bench.orders(link.Close) == [link.Close(1)]
    assert bench.orders(link.Open) == [link.Open(2, "vision")]
    assert "ids[100] <end> <user> [frame 1 x1] [audio" in prompt_of(bench)


def test_old_pictures_leave_the_prompt_several_at_a_time() -> None:
    bench = Bench(Config(pairing=PairingConfig(max_prompt_images=3, keep_prompt_images=1)))
    rollbacks = []
    for _ in range(7):
        bench.forget()
        bench.client(client.InputImageAppend(image=b"jpeg"))
        bench.speak()
        bench.answer("Yes")
        bench.finish()
        rollbacks.append(len(bench.orders(link.Rollback)))
    assert rollbacks == [0, 0, 0, 1, 0, 0, 1]


def test_a_token_limit_makes_the_response_incomplete() -> None:
    bench = Bench()
    bench.client(text_item("hi"))
    params = client.ResponseParams(max_output_tokens=2)
    bench.client(client.ResponseCreate(response=params))
    assert bench.orders(link.Generate)[0].sampling.max_tokens == 2
    bench.answer("a", "b")
    bench.finish("length")
    assert bench.done().status_details == {
        "type": "incomplete",
        "reason": "max_output_tokens",
    }
    assert bench.done().output[0].status == "incomplete"


def test_an_engine_death_ends_the_response_and_the_next_turn_has_the_history() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("One", " two")
    bench.forget()
    bench.engine(None)
    assert bench.types() == CLOSING
    details = bench.done().status_details
    assert details is not None
    assert details["error"]["code"] == "engine_gone"
    bench.forget()
    bench.engine(READY)
    assert prompt_of(bench).startswith("<user> [audio"), "before anybody speaks"
    bench.speak()
    assert bench.orders(link.Open) == [link.Open(2, "speech")]
    assert "<assistant> ids[100, 101] <end> <user> [audio" in prompt_of(bench)


def test_a_turn_that_comes_while_the_engine_restarts_waits_for_it() -> None:
    bench = Bench(ready=None)
    bench.speak()
    assert bench.types()[-1] == "response.created"
    assert bench.orders(link.Generate) == []
    bench.engine(READY)
    assert len(bench.orders(link.Generate)) == 1


def test_a_turn_that_waits_too_long_fails_with_the_bound_in_its_message() -> None:
    bench = Bench(ready=None)
    bench.speak()
    bench.forget()
    bench.timer(bench.session.deadline())
    assert bench.types() == ["response.done"]
    details = bench.done().status_details
    assert details is not None
    assert details["error"]["code"] == "server_overloaded"
    assert "20 s" in details["error"]["message"]


def test_a_prompt_that_is_too_long_is_tried_again_without_its_oldest_turn() -> None:
    bench = Bench()
    for word in ("first", "second", "third"):
        bench.client(text_item(word))
        bench.forget()
        bench.client(client.ResponseCreate())
        if word != "third":
            bench.answer(word.upper())
            bench.finish()
    bench.fail("context_length_exceeded", of_append=True)
    prompt = prompt_of(bench)
    assert prompt.endswith("<user> second <end> <assistant> ids[100] <end> "
                           "<user> third <end> <assistant>")  # fmt: skip
    assert bench.events(wire.ResponseDone) == []


def test_a_question_that_alone_is_too_long_fails_and_does_not_spoil_the_next() -> None:
    bench = Bench()
    bench.client(text_item("much too long"))
    bench.client(client.ResponseCreate())
    bench.fail("context_length_exceeded", of_append=True)
    assert bench.done().status == "failed"
    bench.forget()
    bench.client(text_item("short"))
    bench.client(client.ResponseCreate())
    assert prompt_of(bench) == "<user> short <end> <assistant>"


def test_a_failed_generation_ends_its_response_and_the_session_goes_on() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("One")
    bench.forget()
    bench.report(
        link.Failed(sequence=1, generation=1, code="out_of_memory", message="no room")
    )
    assert bench.types() == CLOSING
    bench.forget()
    bench.speak()
    assert bench.types() == VAD_TURN


def test_instructions_come_first_and_a_change_of_them_re_reads_the_prompt() -> None:
    bench = Bench()
    bench.update(type="realtime", instructions="Be brief.")
    bench.client(text_item("hi"))
    bench.client(client.ResponseCreate())
    assert prompt_of(bench).startswith("<system> Be brief. <end> <user> hi")
    bench.finish()
    bench.forget()
    params = client.ResponseParams(instructions="Shout.")
    bench.client(client.ResponseCreate(response=params))
    assert bench.orders(link.Rollback) == [link.Rollback(1, 0)]
