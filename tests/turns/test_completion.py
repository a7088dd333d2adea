import itertools
from typing import Any

import pytest

from assistant.turns import prompt
from assistant.turns.actions import Tell
from assistant.turns.chat import Question
from assistant.turns.completion import (
    Broken,
    Completion,
    Ended,
    Output,
    Spent,
    State,
)
from assistant.turns.conversation import Item
from assistant.turns.mirror import Mirror
from assistant.turns.tool_calls import Arguments, CallClosed, CallOpened, Words
from assistant.turns.tools import NO_TOOLS, Function, Tools
from assistant.wire import link
from tests.turns.harness import shown
from tests.turns.items import picture, reply, spoken, system, user

SAMPLING = link.Sampling(max_tokens=5)


class Desk:
    """One completion with an engine by hand."""

    def __init__(
        self,
        *items: Item,
        stops: tuple[str, ...] = (),
        tools: Tools = NO_TOOLS,
        kept: Mirror | None = None,
        keeps: bool = False,
    ) -> None:
        asked = list(items or [user("a", "Hello")])
        question = Question(
            instructions="",
            tools=tools,
            items=asked,
            segments=prompt.segments("", asked, tools=tools.prompt_text()),
            sampling=SAMPLING,
            stops=stops,
        )
        self.completion = Completion(question, itertools.count(7), kept, keeps=keeps)
        self.outputs: list[Output] = self.completion.open()

    def report(self, report: link.Report) -> None:
        self.outputs += self.completion.receive_report(report)

    def prefill(self) -> None:
        for order in self.orders(link.Append):
            num_audio = sum(isinstance(part, link.AudioPart) for part in order.parts)
            num_text = len(order.parts) - num_audio
            self.report(
                link.Appended(
                    sequence=7,
                    num_tokens=0,
                    num_text=num_text,
                    num_image=0,
                    num_audio=20 * num_audio,
                )
            )
        self.report(link.Admitted(7, 1))

    def write(self, *words: str) -> None:
        for word in words:
            self.report(link.Token(7, 1, [1], word))

    def finish(self, reason: Any = "stop", text: str = "", num_output: int = 2) -> None:
        self.report(
            link.Finished(
                sequence=7,
                generation=1,
                reason=reason,
                text=text,
                num_prompt=30,
                num_cached=4,
                num_output=num_output,
            )
        )

    def orders(self, kind: type[Any]) -> list[Any]:
        told = [output.order for output in self.outputs if isinstance(output, Tell)]
        return [order for order in told if isinstance(order, kind)]

    def told(self) -> list[Output]:
        return [output for output in self.outputs if not isinstance(output, Tell)]


def test_it_opens_a_sequence_reads_the_prompt_and_asks_for_a_reply() -> None:
    desk = Desk(system("s", "Be short."), user("a", "Hello"), reply("b"), user("c", "Bye"))
    parts = [part for order in desk.orders(link.Append) for part in order.parts]
    assert shown(parts) == (
        "<system> Be short. <end> <user> Hello <end> <assistant> Yes. <end> "
        "<user> Bye <end> <assistant>"
    )
    assert desk.orders(link.Open) == [link.Open(7, "none")]
    assert desk.orders(link.Generate) == [link.Generate(7, 1, SAMPLING)]


@pytest.mark.parametrize(
    ("item", "adapter"), [(spoken("a"), "speech"), (picture("a"), "vision")]
)
def test_the_adapter_follows_the_prompt(item: Item, adapter: str) -> None:
    assert Desk(item).orders(link.Open)[0].adapter == adapter


def test_what_is_written_is_passed_on_and_the_end_tells_what_was_spent() -> None:
    desk = Desk(spoken("a"))
    desk.prefill()
    desk.write("Hel", "lo")
    desk.finish(text="!")
    assert desk.told() == [
        Words("Hel"),
        Words("lo"),
        Words("!"),
        Ended("stop", Spent(30, 4, 0, 20, 2)),
    ]
    assert desk.orders(link.Close) == [link.Close(7)]


def test_a_reply_that_ran_into_its_bound_says_so() -> None:
    desk = Desk()
    desk.write("x")
    desk.finish("length")
    (*_, ended) = desk.told()
    assert isinstance(ended, Ended)
    assert ended.reason == "length"


def test_a_stop_string_ends_the_generation_and_late_tokens_do_not_count() -> None:
    desk = Desk(stops=("END",))
    desk.prefill()
    desk.write("One E", "ND two", "three")
    desk.finish()
    written, ended = desk.told()
    assert written == Words("One ")
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.spent.num_output) == ("stop", 2)
    assert ended.spent.num_prompt == sum(len(o.parts) for o in desk.orders(link.Append))
    assert desk.orders(link.Close) == [link.Close(7)]


def test_what_could_have_become_a_stop_string_is_shown_at_the_end() -> None:
    desk = Desk(stops=("END",))
    desk.write("One E")
    desk.finish(text="N")
    assert desk.told()[:2] == [Words("One "), Words("EN")]


@pytest.mark.parametrize("generation", [None, 1])
def test_what_the_engine_refuses_is_passed_on_once(generation: int | None) -> None:
    desk = Desk()
    for code in ("context_length_exceeded", "sequence_failed"):
        desk.report(
            link.Failed(sequence=7, generation=generation, code=code, message="too long")
        )
    assert desk.told() == [Broken("context_length_exceeded", "too long")]
    assert desk.orders(link.Close) == [link.Close(7)]


def test_an_engine_that_is_gone_is_told_nothing() -> None:
    desk = Desk()
    desk.outputs += desk.completion.receive_engine_gone()
    desk.outputs += desk.completion.receive_engine_gone()
    (broken,) = desk.told()
    assert isinstance(broken, Broken)
    assert broken.code == "engine_gone"
    assert desk.orders(link.Close) == []


def test_a_reply_must_be_admitted_in_time_and_only_that() -> None:
    late, early = Desk(), Desk()
    early.report(link.Admitted(7, 1))
    for desk in (late, early):
        desk.outputs += desk.completion.receive_timeout(20.0)
    assert [type(output) for output in late.told()] == [Broken]
    assert early.told() == []
    assert early.completion.state is State.ADMITTED


def test_closing_frees_the_sequence_once() -> None:
    desk = Desk()
    desk.outputs += desk.completion.close()
    desk.outputs += desk.completion.close()
    assert desk.orders(link.Close) == [link.Close(7)]
    desk.write("late")
    assert desk.told() == []


def test_messages_without_anything_to_read_are_refused() -> None:
    desk = Desk(user("a"))
    (broken,) = desk.outputs
    assert isinstance(broken, Broken)
    assert broken.code == "empty_prompt"


# --- calls -------------------------------------------------------------------------------

LIGHT = Tools(functions=(Function("light", "Turn it on."),))
CALL = '<|tool_call|>[{"name": "light", "arguments": {"on": true}}]<|/tool_call|>'


def test_functions_are_declared_and_their_calls_found() -> None:
    desk = Desk(tools=LIGHT)
    parts = [part for order in desk.orders(link.Append) for part in order.parts]
    assert shown(parts).startswith(
        '<system> <tool> [{"name": "light", "description": "Turn it on."}] <tool_end> <end>'
    )
    desk.write("One moment. ", CALL[:40], CALL[40:])
    desk.finish()
    told = desk.told()
    assert told[:2] == [Words("One moment. "), CallOpened("light")]
    deltas = [output.delta for output in told if isinstance(output, Arguments)]
    assert "".join(deltas) == '{"on": true}'
    assert told[-2] == CallClosed(is_whole=True)
    assert isinstance(told[-1], Ended)
    assert told[-1].reason == "tool_calls"


def test_a_call_that_is_cut_off_by_the_bound_is_no_call_to_carry_out() -> None:
    desk = Desk(tools=LIGHT)
    desk.write(CALL[:50])
    desk.finish("length")
    (*_, ended) = desk.told()
    assert isinstance(ended, Ended)
    assert ended.reason == "length"


def test_what_looks_like_a_call_and_is_none_is_words_with_a_warning() -> None:
    desk = Desk(tools=LIGHT)
    desk.write('<|tool_call|>[{"name": "bomb", "arguments": {}}]<|/tool_call|>')
    desk.finish()
    (*words, ended) = desk.told()
    assert "bomb" in "".join(word.text for word in words if isinstance(word, Words))
    assert isinstance(ended, Ended)
    assert ended.reason == "stop"
    assert ended.warnings


# --- kept for the next request -----------------------------------------------------------


def test_a_sequence_that_answered_serves_again_and_reads_only_what_is_new() -> None:
    question = user("a", "Hello")
    first = Desk(question, keeps=True)
    first.prefill()
    first.write("Yes.")
    first.finish()
    assert first.orders(link.Close) == []
    mirror = first.completion.release()
    assert first.completion.close() == []
    second = Desk(question, reply("b"), user("c", "Bye"), kept=mirror)
    assert second.orders(link.Open) == []
    assert second.orders(link.Rollback) == [link.Rollback(7, 2)]
    parts = [part for order in second.orders(link.Append) for part in order.parts]
    assert shown(parts) == "<assistant> Yes. <end> <user> Bye <end> <assistant>"
    assert second.orders(link.Generate) == [link.Generate(7, 2, SAMPLING)]
    second.report(link.Token(7, 1, [1], "late"))
    second.report(link.Token(7, 2, [1], "Bye!"))
    assert second.told() == [Words("Bye!")]


@pytest.mark.parametrize("ending", ["stop string", "failure", "left"])
def test_a_sequence_that_did_not_end_well_is_closed_and_not_kept(ending: str) -> None:
    desk = Desk(stops=("END",), keeps=True)
    desk.prefill()
    match ending:
        case "stop string":
            desk.write("END")
        case "failure":
            desk.report(
                link.Failed(
                    sequence=7, generation=1, code="out_of_memory", message="says so"
                )
            )
        case _:
            desk.outputs += desk.completion.close()
    assert desk.completion.release() is None
    assert desk.orders(link.Close) == [link.Close(7)]
