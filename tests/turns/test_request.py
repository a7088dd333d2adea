from dataclasses import replace

from assistant.config import Config
from assistant.turns import settings
from assistant.turns.conversation import Audio, Text
from assistant.turns.request import ask
from assistant.turns.settings import Settings
from assistant.turns.tasks import ASSISTANT, Task
from assistant.turns.tools import NO_TOOLS, Function, Tools
from assistant.turns.turn import Turn
from tests.turns.items import spoken, user


def test_a_request_keeps_the_settings_and_the_turn_it_was_made_with() -> None:
    before = settings.initial(Config(), "model", 0)
    now = replace(before, instructions="Be brief.", max_output_tokens=7)
    turn = Turn()
    request = ask(now, turn, {"a": "b"})
    assert (request.instructions, request.max_output_tokens) == ("Be brief.", 7)
    assert request.timeline is turn.timeline
    assert (request.metadata, request.items) == ({"a": "b"}, None)


def doing(current: Settings, task: Task) -> Settings:
    return replace(current, extensions=replace(current.extensions, task=task))


def test_a_task_reads_its_own_sound_and_calls_nothing() -> None:
    task = Task("transcribe")
    start = settings.initial(Config(), "model", 0)
    tools = Tools(functions=(Function("f"),))
    now = replace(doing(start, task), instructions="Be brief.", tools=tools)
    request = ask(now, Turn()).for_task([user("a", "Hello"), spoken("b", b"clip")])
    assert request.items is not None
    (item,) = request.items
    assert item.content == [Audio(b"clip"), Text("Transcribe the audio clip into text.")]
    assert (request.instructions, request.tools, request.task) == ("", NO_TOOLS, task)


def test_a_task_without_sound_is_an_ordinary_request() -> None:
    start = settings.initial(Config(), "model", 0)
    now = replace(doing(start, Task("transcribe")), instructions="Be brief.")
    request = ask(now, Turn()).for_task([user("a", "Hello")])
    assert (request.instructions, request.items) == ("Be brief.", None)
    assert request.task == ASSISTANT


def test_the_context_of_one_response_is_what_its_task_reads() -> None:
    start = settings.initial(Config(), "model", 0)
    now = doing(start, Task("summarise"))
    request = ask(now, Turn(), items=[spoken("b", b"clip")])
    assert request.items is not None
    assert request.items[0].content[0] == Audio(b"clip")
    assert ask(now, Turn(), items=[user("a", "Hello")]).task == ASSISTANT
