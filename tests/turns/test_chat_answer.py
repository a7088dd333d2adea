import itertools
import json
from typing import Any

from assistant.turns.chat import Question
from assistant.turns.chat_answer import ChatAnswer
from assistant.turns.completion import Ended, Spent
from assistant.turns.tasks import Task
from assistant.turns.tool_calls import Arguments, CallClosed, CallOpened, Piece, Words
from assistant.wire import chat as wire, link

SPENT = Spent(num_prompt=30, num_cached=4, num_image=5, num_audio=6, num_output=7)
TWO_CALLS: list[Piece] = [
    Words("Wait."),
    CallOpened("light"),
    Arguments('{"on":'),
    Arguments("true}"),
    CallClosed(is_whole=True),
    CallOpened("door"),
    Arguments("{}"),
    CallClosed(is_whole=True),
]


def answer(**keys: Any) -> ChatAnswer:
    question = Question(
        instructions="", items=[], sampling=link.Sampling(max_tokens=1), **keys
    )
    numbers = itertools.count(1)
    return ChatAnswer(
        question,
        id="c",
        created=9,
        model="m",
        new_id=lambda kind: f"{kind}_{next(numbers)}",
    )


def told(chunk: wire.Chunk | None) -> dict[str, Any]:
    assert chunk is not None
    document: dict[str, Any] = json.loads(wire.event(chunk).removeprefix(b"data: "))
    return document


def deltas(given: ChatAnswer, *pieces: Piece) -> list[dict[str, Any]]:
    chunks = [chunk for piece in pieces if (chunk := given.receive(piece))]
    return [told(chunk)["choices"][0]["delta"] for chunk in chunks]


def test_words_are_deltas_of_content() -> None:
    given = answer()
    assert told(given.opening())["choices"][0]["delta"] == {
        "role": "assistant",
        "content": "",
    }
    assert deltas(given, Words("A "), Words("cup.")) == [
        {"content": "A "},
        {"content": "cup."},
    ]


def test_calls_are_numbered_and_only_their_first_delta_names_them() -> None:
    _, first, *more, second, last = deltas(answer(), *TWO_CALLS)
    assert first["tool_calls"] == [
        {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "light", "arguments": ""},
        }
    ]
    assert [delta["tool_calls"] for delta in more] == [
        [{"index": 0, "function": {"arguments": '{"on":'}}],
        [{"index": 0, "function": {"arguments": "true}"}}],
    ]
    assert second["tool_calls"][0]["index"] == 1
    assert last["tool_calls"] == [{"index": 1, "function": {"arguments": "{}"}}]


def test_the_whole_answer_holds_what_the_chunks_held() -> None:
    given = answer()
    deltas(given, *TWO_CALLS)
    document = json.loads(wire.encode(given.whole(Ended("tool_calls", SPENT))))
    message = document["choices"][0]["message"]
    assert message["content"] == "Wait."
    assert [(c["id"], c["function"]["name"]) for c in message["tool_calls"]] == [
        ("call_1", "light"),
        ("call_2", "door"),
    ]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"on":true}'
    assert document["usage"]["total_tokens"] == 37
    assert document["usage"]["prompt_tokens_details"] == {
        "cached_tokens": 4,
        "audio_tokens": 6,
        "image_tokens": 5,
    }


def test_an_answer_without_calls_has_no_key_for_them() -> None:
    message = answer().whole(Ended("stop", SPENT)).choices[0].message
    assert message.content == ""
    assert b"tool_calls" not in wire.encode(answer().whole(Ended("stop", SPENT)))


def test_a_stream_ends_with_the_reason_and_the_usage_if_wanted() -> None:
    (last,) = answer().end(Ended("length", SPENT))
    assert told(last)["choices"][0]["finish_reason"] == "length"
    assert "usage" not in told(last)
    last, usage = answer(wants_usage=True).end(Ended("stop", SPENT))
    assert told(last)["usage"] is None
    assert told(usage)["choices"] == []
    assert told(usage)["usage"]["prompt_tokens"] == 30


def test_our_own_key_tells_of_the_task_and_of_warnings() -> None:
    given = answer(task=Task("transcribe_translate", "German"))
    deltas(given, Words("Hello.<sep>"), Words("Hallo."))
    ended = Ended("stop", SPENT, warnings=("it breaks off",))
    assert told(given.end(ended)[0])["assistant"] == {
        "task": {"type": "transcribe_translate", "language": "German"},
        "transcript": "Hello.",
        "translation": "Hallo.",
        "warnings": ["it breaks off"],
    }
    assert "assistant" not in told(answer().end(Ended("stop", SPENT))[0])
