import json
from typing import Any

import msgspec
import pytest

from assistant.wire import items

TEXT = {"type": "input_text", "text": "a"}
DECODER: msgspec.json.Decoder[items.Item] = msgspec.json.Decoder(items.Item)


def read(**item: Any) -> items.Item:
    return DECODER.decode(json.dumps(item))


@pytest.mark.parametrize(
    "item",
    [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "a"}],
        },
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
        {"type": "function_call_output", "output": "7", "call_id": "c"},
    ],
)
def test_an_item_is_written_as_it_was_read(item: dict[str, Any]) -> None:
    item |= {"id": "item_1", "status": "completed", "object": "realtime.item"}
    assert json.loads(msgspec.json.encode(read(**item))) == item


def test_sound_without_transcript_is_written_with_a_null_and_without_bytes() -> None:
    assert msgspec.json.encode(items.InputAudio()) == (
        b'{"type":"input_audio","transcript":null}'
    )


@pytest.mark.parametrize(
    "item",
    [
        {"type": "mcp_call", "id": "i"},
        {"type": "message", "role": "tool", "content": []},
        {"type": "message", "role": "user", "content": [{"type": "video"}]},
        {"type": "message", "role": "user", "content": "words"},
        {"type": "message", "role": "user", "content": [], "status": "lost"},
        {"type": "function_call", "name": "f", "arguments": {}},
    ],
)
def test_what_the_protocol_does_not_have_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(**item)
