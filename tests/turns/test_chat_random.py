"""Whatever a request holds, it is read or refused with a code."""

import itertools
import json
from typing import Any

from hypothesis import given, strategies as st

from assistant.config import Config
from assistant.errors import MediaError
from assistant.gateway.http import refusal
from assistant.turns import chat
from assistant.turns.completion import Completion
from assistant.wire import chat as wire, link
from assistant.wire.refusals import EventRefused
from tests.turns.harness import FakeMedia

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.just(10**40),
)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "robot"])
DATA = st.sampled_from(["", "QUJD", "QUJ", "%%%", "\ud800"])
PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text() | ODD}),
    st.fixed_dictionaries({"type": st.just("refusal"), "refusal": st.text() | ODD}),
    st.fixed_dictionaries(
        {
            "type": st.just("image_url"),
            "image_url": st.fixed_dictionaries(
                {
                    "url": DATA.map(lambda data: f"data:image/png;base64,{data}")
                    | st.sampled_from(["http://x", "", "data:"]),
                    "detail": st.sampled_from(["auto", "low", "high", None, "odd"]),
                }
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("input_audio"),
            "input_audio": st.fixed_dictionaries(
                {"data": DATA, "format": st.sampled_from(["wav", "mp3", "odd"])}
            ),
        }
    ),
    ODD,
)
CALLS = st.fixed_dictionaries(
    {
        "id": st.text(max_size=3),
        "function": st.fixed_dictionaries(
            {"name": st.text(max_size=3), "arguments": st.sampled_from(["{}", "{", ""])}
        ),
    }
)
MESSAGES = st.fixed_dictionaries(
    {"role": ROLES},
    optional={
        "content": st.text() | st.lists(PARTS, max_size=3) | ODD,
        "tool_calls": st.lists(CALLS, max_size=2) | ODD,
        "tool_call_id": st.text(max_size=3) | ODD,
    },
)
TASKS = st.sampled_from(["transcribe", "odd", {"type": "translate", "language": "German"}])
TOOLS = st.sampled_from(
    [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "odd"}}},
        {"type": "function", "function": {"name": "g"}},
        {"type": "function"},
        {"type": "web_search"},
    ]
)
CHOICES = st.sampled_from(
    ["auto", "none", "required", {"type": "function", "function": {"name": "g"}}]
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "m", "m", "\ud800"]), "messages": st.lists(MESSAGES)},
    optional={
        "stream": ODD,
        "max_tokens": ODD,
        "temperature": ODD,
        "top_p": ODD,
        "seed": ODD,
        "stop": ODD | st.lists(st.text(), max_size=5),
        "tools": st.lists(TOOLS | ODD, max_size=3),
        "tool_choice": CHOICES | ODD,
        "assistant": ODD | st.fixed_dictionaries({"task": TASKS | ODD}),
    },
)


@given(body=REQUESTS)
def test_a_request_is_read_or_refused_with_a_code(body: dict[str, Any]) -> None:
    numbers = itertools.count(1)
    question, refused = None, None
    try:
        question = chat.read(
            wire.decode(json.dumps(body).encode()),
            models={"m"},
            new_id=lambda kind: f"{kind}_{next(numbers)}",
            media=FakeMedia(),
            config=Config(),
            seed=1,
        )
    except (EventRefused, MediaError) as error:
        refused = error
    if question is None:
        assert refused is not None
        assert refused.code
        assert refusal(refused.code, str(refused)).body  # it can be written
        return
    for output in Completion(question, itertools.count(1)).open():
        order = getattr(output, "order", None)
        if order is not None:
            assert link.decode_order(link.encode(order)[4:]) == order
