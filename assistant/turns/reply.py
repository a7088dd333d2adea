"""
The ladder of events of one response, as a small state machine.

    created → item open → deltas → item closed → (the next item …) → done

The text of the reply is taken apart here: words become message items, calls become
function_call items, each a member of the conversation from the moment it is announced.
Whatever ends a response (its last token, a cancel, a failure, the token limit), every
scope that was opened is closed in order and ``response.done`` leaves exactly once.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from msgspec import UNSET

from assistant.turns.conversation import Conversation, Item, Text
from assistant.turns.tool_calls import Arguments, CallClosed, CallOpened, ToolCalls, Words
from assistant.turns.tools import NO_TOOLS, Tools
from assistant.wire import items, server_events as wire


class State(enum.Enum):
    NEW = enum.auto()
    CREATED = enum.auto()  # announced; no item is open
    WRITING = enum.auto()  # a message and its part are open
    CALLING = enum.auto()  # a function call is open
    DONE = enum.auto()


class Step(enum.Enum):
    OPEN = enum.auto()
    START_MESSAGE = enum.auto()
    START_CALL = enum.auto()
    WRITE = enum.auto()
    ADD_ARGUMENTS = enum.auto()
    END_MESSAGE = enum.auto()
    END_CALL = enum.auto()
    CLOSE = enum.auto()


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.NEW, Step.OPEN): State.CREATED,
    (State.CREATED, Step.START_MESSAGE): State.WRITING,
    (State.CREATED, Step.START_CALL): State.CALLING,
    (State.WRITING, Step.WRITE): State.WRITING,
    (State.CALLING, Step.ADD_ARGUMENTS): State.CALLING,
    (State.WRITING, Step.END_MESSAGE): State.CREATED,
    (State.CALLING, Step.END_CALL): State.CREATED,
    (State.CREATED, Step.CLOSE): State.DONE,
}

Ending = Literal["completed", "cancelled", "failed", "incomplete"]
Events = Iterator[wire.ServerEvent]


class Reply:
    """One response on the wire. A step the table lacks is our bug and changes nothing."""

    def __init__(
        self,
        *,
        response_id: str,
        item_id: str,
        conversation_id: str | None,
        max_output_tokens: int | Literal["inf"],
        metadata: dict[str, str] | None,
        conversation: Conversation,
        new_id: Callable[[str], str],
        tools: Tools = NO_TOOLS,
    ) -> None:
        """
        ``item_id`` is for the first item. Without a ``conversation_id`` the response is
        out of band: its items are announced as output only.
        """
        self.state = State.NEW
        self.response_id = response_id
        self.item_id = item_id
        self.items: list[Item] = []
        self._conversation_id = conversation_id
        self._max_output_tokens = max_output_tokens
        self._metadata = metadata
        self._conversation = conversation
        self._new_id = new_id
        self._tool_calls = ToolCalls(tools.names, most=tools.max_calls)
        self._previous: str | None = None
        """Of the open item: the one before it, as it was announced."""

    @property
    def text(self) -> str:
        """All words so far."""
        parts = [part for item in self.items for part in item.content]
        return "".join(part.text for part in parts if isinstance(part, Text))

    def open(self) -> Events:
        self._step(Step.OPEN)
        yield wire.ResponseCreated(response=self._response("in_progress"))

    def write(self, text: str) -> Events:
        """
        Take more of the reply.

        Raises:
            EventRefused: The conversation is full; what was yielded before holds.
        """
        yield from self._show(self._tool_calls.receive(text))

    def end_text(self, *, is_whole: bool) -> Events:
        """The text is over: because the reply is, or (not whole) it was cut off."""
        if is_whole or not self._tool_calls.is_in_call:
            yield from self._show(self._tool_calls.finish())

    def close(
        self,
        ending: Ending,
        details: dict[str, Any] | None = None,
        usage: wire.Usage | None = None,
        vendor: dict[str, Any] | None = None,
        token_ids: Sequence[int] | None = None,
    ) -> Events:
        """
        Close what is open, in order.

        Args:
            ending: Which status the response gets.
            details: The wire's ``status_details``.
            usage: Tokens, if they were counted.
            vendor: Our own key; warnings are added to it.
            token_ids: The reply as it was generated, for the next prompt.
        """
        yield from self._end_item("completed" if ending == "completed" else "incomplete")
        self._step(Step.CLOSE)
        # A call that was cut off must not be read again, so the rest is told in words.
        if self.items and token_ids is not None and not self._tool_calls.is_in_call:
            first, *others = self.items
            first.token_ids, first.followers = tuple(token_ids), tuple(others)
        if self._tool_calls.warnings:
            vendor = {**(vendor or {}), "warnings": self._tool_calls.warnings}
        response = self._response(ending)
        response.status_details = details
        response.usage = usage
        response.output = [item.to_wire() for item in self.items]
        response.assistant = UNSET if vendor is None else vendor
        yield wire.ResponseDone(response=response)

    # --- items --------------------------------------------------------------------------

    def _show(
        self, pieces: Sequence[Words | CallOpened | Arguments | CallClosed]
    ) -> Events:
        for piece in pieces:
            match piece:
                case Words(text):
                    if self.state is not State.WRITING:
                        yield from self._end_item("completed")
                        yield from self._start_message()
                    yield from self._write(text)
                case CallOpened(name):
                    yield from self._end_item("completed")
                    yield from self._start_call(name)
                case Arguments(delta):
                    yield from self._add_arguments(delta)
                case CallClosed(is_whole):
                    yield from self._end_item("completed" if is_whole else "incomplete")

    def _start_message(self) -> Events:
        item = Item(id=self._next_id(), role="assistant", content=[], status="in_progress")
        yield from self._start(Step.START_MESSAGE, item)
        item.content.append(Text(""))
        yield wire.ContentPartAdded(**self._place(), part=wire.Part(""))

    def _start_call(self, name: str) -> Events:
        call = items.FunctionCallItem(name=name, arguments="", call_id=self._new_id("call"))
        yield from self._start(
            Step.START_CALL,
            Item(
                id=self._next_id(),
                role="assistant",
                content=[],
                status="in_progress",
                call=call,
            ),
        )

    def _start(self, step: Step, item: Item) -> Events:
        before = self.items[-1].id if self.items else None
        if before is not None and not self._conversation.has(before):
            before = None
        self._previous = self._conversation.insert(item, before)
        self._step(step)
        self.items.append(item)
        shown = item.to_wire()
        yield wire.OutputItemAdded(
            response_id=self.response_id, output_index=self._index, item=shown
        )
        if self._conversation_id is not None:
            yield wire.ItemAdded(previous_item_id=self._previous, item=shown)

    def _write(self, text: str) -> Events:
        self._step(Step.WRITE)
        (part,) = self.items[-1].content
        assert isinstance(part, Text)
        part.text += text
        yield wire.TextDelta(**self._place(), delta=text)

    def _add_arguments(self, delta: str) -> Events:
        self._step(Step.ADD_ARGUMENTS)
        self._call.arguments += delta
        yield wire.ArgumentsDelta(
            **self._call_place(), call_id=str(self._call.call_id), delta=delta
        )

    def _end_item(self, status: Literal["completed", "incomplete"]) -> Events:
        if self.state not in (State.WRITING, State.CALLING):
            return
        item = self.items[-1]
        item.status = status
        if self.state is State.WRITING:
            (part,) = item.content
            assert isinstance(part, Text)
            self._step(Step.END_MESSAGE)
            yield wire.TextDone(**self._place(), text=part.text)
            yield wire.ContentPartDone(**self._place(), part=wire.Part(part.text))
        else:
            self._step(Step.END_CALL)
            yield wire.ArgumentsDone(
                **self._call_place(),
                call_id=str(self._call.call_id),
                name=self._call.name,
                arguments=self._call.arguments,
            )
        shown = item.to_wire()
        if self._conversation_id is not None:
            if self._conversation.has(item.id):
                # The one before it may have been deleted since.
                self._previous = self._conversation.previous_id(item.id)
            yield wire.ItemDone(previous_item_id=self._previous, item=shown)
        yield wire.OutputItemDone(
            response_id=self.response_id, output_index=self._index, item=shown
        )

    # --- shapes -------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state, step]

    def _next_id(self) -> str:
        return self._new_id("item") if self.items else self.item_id

    @property
    def _index(self) -> int:
        return len(self.items) - 1

    @property
    def _call(self) -> items.FunctionCallItem:
        call = self.items[-1].call
        assert isinstance(call, items.FunctionCallItem)
        return call

    def _call_place(self) -> dict[str, Any]:
        return {
            "response_id": self.response_id,
            "item_id": self.items[-1].id,
            "output_index": self._index,
        }

    def _place(self) -> dict[str, Any]:
        return {**self._call_place(), "content_index": 0}

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
