"""
The ladder of events of one response, as a small state machine.

    created → item open → part open → deltas → part closed → item closed → done

Whatever ends a response (its last token, a cancel, a failure, the token limit), every
scope that was opened is closed in order and ``response.done`` leaves exactly once.
"""

import enum
from typing import Any, Literal

from msgspec import UNSET

from assistant.wire import server_events as wire
from assistant.wire.items import MessageItem, OutputText


class State(enum.Enum):
    NEW = enum.auto()
    CREATED = enum.auto()  # announced, nothing to show yet
    WRITING = enum.auto()  # item and part are open
    DONE = enum.auto()


class Step(enum.Enum):
    OPEN = enum.auto()
    START_ITEM = enum.auto()
    WRITE = enum.auto()
    CLOSE = enum.auto()


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.NEW, Step.OPEN): State.CREATED,
    (State.CREATED, Step.START_ITEM): State.WRITING,
    (State.WRITING, Step.WRITE): State.WRITING,
    (State.CREATED, Step.CLOSE): State.DONE,
    (State.WRITING, Step.CLOSE): State.DONE,
}

Ending = Literal["completed", "cancelled", "failed", "incomplete"]


class Reply:
    """One response on the wire. A step the table lacks is our bug and changes nothing."""

    def __init__(
        self,
        *,
        response_id: str,
        item_id: str,
        conversation_id: str,
        max_output_tokens: int | Literal["inf"],
        metadata: dict[str, str] | None,
    ) -> None:
        self.state = State.NEW
        self.response_id = response_id
        self.item_id = item_id
        self.text = ""
        self._conversation_id = conversation_id
        self._max_output_tokens = max_output_tokens
        self._metadata = metadata

    def open(self) -> list[wire.ServerEvent]:
        self._step(Step.OPEN)
        return [wire.ResponseCreated(response=self._response("in_progress"))]

    def start_item(self, previous_item_id: str | None) -> list[wire.ServerEvent]:
        """Announce the message item that follows ``previous_item_id``."""
        self._step(Step.START_ITEM)
        self._previous_item_id = previous_item_id
        item = self._item("in_progress")
        return [
            wire.OutputItemAdded(response_id=self.response_id, output_index=0, item=item),
            wire.ItemAdded(previous_item_id=previous_item_id, item=item),
            wire.ContentPartAdded(**self._place(), part=wire.Part("")),
        ]

    def write(self, text: str) -> list[wire.ServerEvent]:
        self._step(Step.WRITE)
        self.text += text
        return [wire.TextDelta(**self._place(), delta=text)]

    def close(
        self,
        ending: Ending,
        details: dict[str, Any] | None = None,
        usage: wire.Usage | None = None,
        vendor: dict[str, Any] | None = None,
    ) -> list[wire.ServerEvent]:
        """Close what is open, in order. ``details`` is the wire's ``status_details``."""
        was_writing = self.state is State.WRITING
        self._step(Step.CLOSE)
        response = self._response(ending)
        response.status_details = details
        response.usage = usage
        response.assistant = UNSET if vendor is None else vendor
        events: list[wire.ServerEvent] = []
        if was_writing:
            item = self._item("completed" if ending == "completed" else "incomplete")
            response.output = [item]
            events += [
                wire.TextDone(**self._place(), text=self.text),
                wire.ContentPartDone(**self._place(), part=wire.Part(self.text)),
                wire.ItemDone(previous_item_id=self._previous_item_id, item=item),
                wire.OutputItemDone(
                    response_id=self.response_id, output_index=0, item=item
                ),
            ]
        return [*events, wire.ResponseDone(response=response)]

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state, step]

    def _place(self) -> dict[str, Any]:
        return {
            "response_id": self.response_id,
            "item_id": self.item_id,
            "output_index": 0,
            "content_index": 0,
        }

    def _item(
        self, status: Literal["in_progress", "completed", "incomplete"]
    ) -> MessageItem:
        content = [] if status == "in_progress" else [OutputText(self.text)]
        return MessageItem(
            id=self.item_id, role="assistant", status=status, content=[*content]
        )

    def _response(self, status: wire.ResponseStatus) -> wire.Response:
        return wire.Response(
            id=self.response_id,
            status=status,
            output=[],
            conversation_id=self._conversation_id,
            output_modalities=["text"],
            max_output_tokens=self._max_output_tokens,
            metadata=self._metadata,
        )
