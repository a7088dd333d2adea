from typing import Any

import msgspec
import pytest

from assistant.turns import prompt, tasks
from assistant.turns.tasks import KINDS, NEED_LANGUAGE, Task
from assistant.wire import client_events as client, link
from assistant.wire.client_events import TaskPatch
from assistant.wire.refusals import EventRefused
from tests.turns.harness import Bench, prompt_of, shown
from tests.turns.items import picture, reply, spoken, system, user


def refusal(given: Any) -> tuple[str | None, str | None]:
    with pytest.raises(EventRefused) as caught:
        tasks.checked(given, "assistant.task")
    return caught.value.code, caught.value.param


def read_by(task: Task, *items: Any) -> str:
    alone = tasks.context(task, items)
    assert alone is not None
    return shown([part for s in prompt.segments("", alone) for part in s.parts])


# --- what a client names -----------------------------------------------------------------


def test_a_name_alone_is_a_task_that_needs_no_language() -> None:
    assert tasks.checked("transcribe", "") == Task("transcribe")
    assert tasks.checked(TaskPatch("summarise", None), "") == Task("summarise")
    assert tasks.checked(None, "") == tasks.ASSISTANT


@pytest.mark.parametrize("kind", sorted(NEED_LANGUAGE))
def test_a_translation_names_its_language(kind: str) -> None:
    assert tasks.checked(TaskPatch(kind, " German "), "").language == "German"
    assert refusal(kind) == ("missing_required_parameter", "assistant.task.language")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("sing", "assistant.task"),
        ("", "assistant.task"),
        (TaskPatch("transcribe", "German"), "assistant.task.language"),
        (TaskPatch("translate", "x" * 41), "assistant.task.language"),
        (TaskPatch("translate", "German. Ignore"), "assistant.task.language"),
    ],
)
def test_what_is_no_task_is_refused(given: Any, param: str) -> None:
    assert refusal(given) == ("invalid_value", param)


# --- what the model reads ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Task("transcribe"), "Transcribe the audio clip into text."),
        (Task("translate", "German"), "Translate the audio to German."),
        (
            Task("transcribe_translate", "French"),
            "Transcribe the audio to text, and then translate the audio to French. Use "
            "<sep> as a separator between the original transcript and the translation.",
        ),
        (Task("summarise"), "Summarize the audio clip."),
    ],
)
def test_the_words_of_a_task_are_those_the_model_was_trained_with(
    task: Task, words: str
) -> None:
    assert read_by(task, spoken("a", b"clip")) == f"<user> [audio clip] {words} <end>"


def test_a_task_reads_the_newest_sound_and_nothing_before_it() -> None:
    items = [system("s", "Be short."), spoken("a"), reply("b", 1), spoken("c", b"new", 2)]
    text = read_by(Task("transcribe"), *items)
    assert text == "<user> [audio new] Transcribe the audio clip into text. <end>"


def test_without_sound_there_is_nothing_to_do_a_task_on() -> None:
    assert tasks.context(Task("transcribe"), [user("a", "words")]) is None
    assert tasks.context(Task("transcribe"), [spoken("a"), picture("b", "what?")]) is None
    assert tasks.context(Task("transcribe"), []) is None
    assert tasks.context(tasks.ASSISTANT, [spoken("a")]) is None


# --- what the client is told -------------------------------------------------------------


def test_transcript_and_translation_are_told_apart() -> None:
    both = Task("transcribe_translate", "German")
    assert tasks.fields(both, "Hello. <sep> Hallo.") == {
        "task": {"type": "transcribe_translate", "language": "German"},
        "transcript": "Hello.",
        "translation": "Hallo.",
    }
    unsplit = tasks.fields(both, "Hello.")
    assert (unsplit["transcript"], unsplit["translation"]) == ("Hello.", None)
    assert set(tasks.fields(Task("transcribe"), "Hello.")) == {"task"}
    assert tasks.fields(tasks.ASSISTANT, "Hello.") == {}


def test_every_kind_has_words_but_the_assistant() -> None:
    assert [kind for kind in KINDS if not Task(kind, "x").words] == ["assistant"]


# --- in a session ------------------------------------------------------------------------


def test_a_session_with_a_task_does_it_on_every_turn() -> None:
    bench = Bench()
    bench.update(
        instructions="Be short.",
        assistant={"task": {"type": "transcribe_translate", "language": "German"}},
    )
    for _ in range(2):
        bench.forget()
        bench.speak()
        text = prompt_of(bench)
        assert text.count("[audio ") == 1
        assert "Be short." not in text
        assert "translate the audio to German." in text
        bench.answer("Hello. <sep", "> Hallo.")
        bench.finish()
        told = bench.done().assistant
        assert isinstance(told, dict)
        assert (told["transcript"], told["translation"]) == ("Hello.", "Hallo.")


def test_a_typed_question_is_answered_as_always_whatever_the_task() -> None:
    bench = Bench()
    bench.update(instructions="Be short.", assistant={"task": "transcribe"})
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello"}],
    }
    created = {"type": "conversation.item.create", "item": item}
    bench.client(client.decode(msgspec.json.encode(created)))
    bench.client(client.ResponseCreate())
    assert prompt_of(bench) == ("<system> Be short. <end> <user> Hello <end> <assistant>")


def test_the_task_of_a_session_is_echoed_and_can_be_taken_back() -> None:
    bench = Bench()
    bench.update(assistant={"task": "summarise"})
    assert bench.session.settings.extensions.task == Task("summarise")
    bench.update(assistant={"video": {"frames_per_turn": 1}})
    assert bench.session.settings.extensions.task == Task("summarise")
    bench.update(assistant={"task": None})
    assert bench.session.settings.extensions.task == tasks.ASSISTANT


def test_nothing_is_read_ahead_for_a_task() -> None:
    bench = Bench()
    bench.update(instructions="Be short.", assistant={"task": "transcribe"})
    bench.forget()
    bench.hear(0.95, 1.0)
    assert prompt_of(bench) == ""
    bench.hear(0.02, 0.7)
    assert prompt_of(bench).startswith("<user> [audio ")
    assert len(bench.orders(link.Generate)) == 1
