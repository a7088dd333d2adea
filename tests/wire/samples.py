"""One realistic event of every kind the server sends."""

from typing import Any

import msgspec

from assistant.config import Config
from assistant.turns import settings
from assistant.wire import client_events, items, server_events as wire

SESSIONS: dict[str, dict[str, Any]] = {
    "as it starts": {},
    "as the Python agents SDK asks for it": {
        "type": "realtime",
        "model": "another",
        "output_modalities": ["audio"],
        "instructions": "Be brief.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
            },
            "output": {"voice": "ash", "format": {"type": "audio/pcm", "rate": 24000}},
        },
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "tool_choice": {"type": "function", "name": "f"},
        "tracing": "auto",
    },
    "manual turns, everything set": {
        "audio": {
            "input": {
                "turn_detection": None,
                "noise_reduction": {"type": "far_field", "strength": 1},
                "format": {"type": "audio/pcmu"},
            },
            "output": {"voice": {"id": "voice_1"}, "speed": 1},
        },
        "max_output_tokens": 77,
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": 500},
        },
        "tracing": {"workflow_name": "w", "group_id": None, "metadata": {"a": [1]}},
        "parallel_tool_calls": False,
        "assistant": {"events": ["metrics"], "video": {"frames_per_turn": 3}},
    },
    "everything cleared": {
        "instructions": None,
        "output_modalities": None,
        "audio": {
            "input": {
                "format": None,
                "noise_reduction": None,
                "transcription": None,
                "turn_detection": {"type": "server_vad", "threshold": None},
            },
            "output": {"format": None, "voice": None, "speed": None},
        },
        "max_output_tokens": None,
        "truncation": None,
        "tracing": None,
        "parallel_tool_calls": None,
        "tools": None,
        "tool_choice": None,
    },
    "transcripts alone": {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "phi", "language": "de"}}},
    },
    "ratio without limits": {
        "truncation": {"type": "retention_ratio", "retention_ratio": 0},
        "tracing": {},
    },
}

USER = items.MessageItem(
    id="item_1", role="user", status="completed", content=[items.InputAudio()]
)
REPLY = items.MessageItem(
    id="item_2", role="assistant", status="completed", content=[items.OutputText("Red.")]
)
ITEMS: list[items.Item] = [
    USER,
    items.MessageItem(
        id="item_3",
        role="user",
        status="completed",
        content=[
            items.InputText("What is it?"),
            items.InputImage(image_url="data:image/png;base64,AA==", detail="low"),
            items.InputImage(),
            items.InputAudio(transcript="What?"),
        ],
    ),
    items.MessageItem(
        id="item_4", role="system", status="completed", content=[items.InputText("Hi.")]
    ),
    items.MessageItem(id="item_5", role="assistant", status="in_progress", content=[]),
    REPLY,
    items.MessageItem(
        id="item_6",
        role="assistant",
        status="incomplete",
        content=[items.OutputAudio(transcript="Re")],
    ),
    items.FunctionCallItem(
        id="item_7", status="completed", name="f", arguments="{}", call_id="call_1"
    ),
    items.FunctionCallOutputItem(
        id="item_8", status="completed", call_id="call_1", output="7"
    ),
]

PLACE: dict[str, Any] = {
    "response_id": "resp_1",
    "item_id": "item_2",
    "output_index": 0,
    "content_index": 0,
}

CALLED: dict[str, Any] = {
    "response_id": "resp_1",
    "item_id": "item_7",
    "output_index": 1,
    "call_id": "call_1",
}

USAGE = wire.Usage(
    total_tokens=90,
    input_tokens=80,
    output_tokens=10,
    input_token_details=wire.TokenDetails(
        text_tokens=5, audio_tokens=63, image_tokens=12, cached_tokens=5
    ),
    output_token_details=wire.TokenDetails(text_tokens=10),
)

ENDINGS: dict[wire.ResponseStatus, list[dict[str, Any] | None]] = {
    "completed": [None],
    "cancelled": [
        {"type": "cancelled", "reason": "turn_detected"},
        {"type": "cancelled", "reason": "client_cancelled"},
    ],
    "incomplete": [{"type": "incomplete", "reason": "max_output_tokens"}],
    "failed": [
        {
            "type": "failed",
            "error": {"type": "server_error", "code": "engine_gone", "message": "Gone."},
        }
    ],
}


def session(patch: dict[str, Any]) -> dict[str, Any]:
    """Return the ``session`` object after one update."""
    text = msgspec.json.encode({"type": "session.update", "session": patch})
    event = client_events.decode(text)
    assert isinstance(event, client_events.SessionUpdate)
    start = settings.initial(Config(), "demo", hangover_ms=96)
    return settings.updated(start, event.session).to_wire("sess_1", 1_795_219_801)


def response(
    status: wire.ResponseStatus, details: dict[str, Any] | None = None
) -> wire.Response:
    is_done = status != "in_progress"
    return wire.Response(
        id="resp_1",
        status=status,
        status_details=details,
        output=[REPLY] if is_done else [],
        conversation_id="conv_1",
        output_modalities=["text"],
        max_output_tokens="inf" if is_done else 200,
        usage=USAGE if status in ("completed", "cancelled") else None,
        metadata={"client_event_id": "1"},
        assistant={"frames": [{"id": 1, "used": True}], "timeline": {"done_ms": 1.5}},
    )


def _events() -> list[wire.ServerEvent]:
    part = wire.Part("Red.")
    return [
        *(wire.SessionUpdated(session=session(patch)) for patch in SESSIONS.values()),
        wire.SessionCreated(session=session({})),
        wire.SpeechStarted(audio_start_ms=120, item_id="item_1"),
        wire.SpeechStopped(audio_end_ms=2040, item_id="item_1"),
        wire.Committed(previous_item_id=None, item_id="item_1"),
        wire.Committed(previous_item_id="item_0", item_id="item_1"),
        wire.timeout_triggered(12_000, 14_000, "item_1"),
        wire.Cleared(),
        wire.ImageBufferCleared(),
        *(wire.ItemAdded(previous_item_id=None, item=item) for item in ITEMS),
        *(wire.ItemDone(previous_item_id="item_0", item=item) for item in ITEMS),
        *(wire.ItemRetrieved(item=item) for item in ITEMS),
        wire.ItemDeleted(item_id="item_1"),
        wire.TranscriptDelta(item_id="item_1", content_index=0, delta="Wh"),
        wire.TranscriptCompleted(
            item_id="item_1",
            content_index=0,
            transcript="What?",
            usage=wire.TranscriptUsage.of(USAGE),
        ),
        wire.TranscriptFailed(
            item_id="item_1",
            content_index=0,
            error=wire.TranscriptError(code="engine_gone", message="Gone."),
        ),
        wire.ResponseCreated(response=response("in_progress")),
        *(
            wire.ResponseDone(response=response(status, details))
            for status, all_details in ENDINGS.items()
            for details in all_details
        ),
        wire.OutputItemAdded(response_id="resp_1", output_index=0, item=ITEMS[3]),
        wire.OutputItemDone(response_id="resp_1", output_index=0, item=REPLY),
        wire.ContentPartAdded(**PLACE, part=wire.Part("")),
        wire.ContentPartDone(**PLACE, part=part),
        wire.TextDelta(**PLACE, delta="Re"),
        wire.TextDone(**PLACE, text="Red."),
        wire.ArgumentsDelta(**CALLED, delta='{"a'),
        wire.ArgumentsDone(**CALLED, name="f", arguments='{"a": 1}'),
        wire.error("invalid_value", "Wrong.", param="type", event_id="mine"),
        wire.error(None, "Only model output audio messages can be truncated"),
    ]


EVENTS = _events()
for _number, _event in enumerate(EVENTS):
    _event.event_id = f"event_{_number}"
