"""A responder with a conversation around it, and an engine by hand."""

import itertools
from collections.abc import Sequence
from typing import TypeVar

from assistant.config import Config
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.conversation import Conversation, Item, Text
from assistant.turns.load import Load
from assistant.turns.mirror import Mirror
from assistant.turns.responder import Request, Responder
from assistant.wire import link, server_events as wire
from tests.turns.harness import READY

_Order = TypeVar("_Order", bound=link.Message)


class Desk:
    """A responder with a conversation, and an engine by hand."""

    def __init__(self, config: Config | None = None, *, max_items: int = 100) -> None:
        numbers = itertools.count(1)
        self.actions: list[Action] = []
        self.conversation = Conversation(max_items, max_bytes=2**20)
        self.responder = Responder(
            config=config or Config(),
            conversation=self.conversation,
            conversation_id="conv",
            mirror=Mirror(itertools.count(1)),
            load=Load(),
            new_id=lambda kind: f"{kind}_{next(numbers)}",
            emit=self.actions.append,
        )

    def user(self, text: str) -> Item:
        item = Item(id=text, role="user", content=[Text(text)])
        self.conversation.insert(item)
        return item

    def start(self, now: float = 0.0, **keys: object) -> None:
        request = Request(instructions="", max_output_tokens="inf")
        for name, value in keys.items():
            setattr(request, name, value)
        self.responder.start(request, now)

    def ready(self, budget: int = 4096) -> None:
        ready = link.Ready(
            model=READY.model,
            device=READY.device,
            dtype=READY.dtype,
            max_sequence_tokens=budget,
            num_slots=READY.num_slots,
            is_meaningless=True,
        )
        self.responder.receive_engine(ready, 0.0)

    def told(self, kind: type[_Order]) -> list[_Order]:
        orders = [action.order for action in self.actions if isinstance(action, Tell)]
        return [order for order in orders if isinstance(order, kind)]

    def newest(self) -> tuple[int, int]:
        generate = self.told(link.Generate)[-1]
        return generate.sequence, generate.generation

    def say(self, *words: str, now: float = 1.0) -> None:
        for word in words:
            self.report(link.Token(*self.newest(), [7], word), now)

    def finish(self, text: str = "", num_prompt: int = 10) -> None:
        sequence, generation = self.newest()
        finished = link.Finished(
            sequence=sequence,
            generation=generation,
            reason="stop",
            text=text,
            num_prompt=num_prompt,
            num_cached=4,
            num_output=2,
        )
        self.report(finished)

    def fail(self, code: str, generation: int | None, sequence: int | None = None) -> None:
        sequence = self.newest()[0] if sequence is None else sequence
        failed = link.Failed(
            sequence=sequence, generation=generation, code=code, message="says the engine"
        )
        self.report(failed)

    def report(self, report: link.Report, now: float = 1.0) -> None:
        self.responder.receive_report(report, now)

    def appended(self, costs: Sequence[int]) -> None:
        """Answer the newest Appends, oldest first, with what they cost."""
        for cost in costs:
            appended = link.Appended(
                sequence=self.newest()[0],
                num_tokens=0,
                num_text=cost,
                num_image=0,
                num_audio=0,
            )
            self.report(appended)

    def types(self) -> list[str]:
        return [
            str(action.event.__struct_config__.tag)
            for action in self.actions
            if isinstance(action, Send)
        ]

    def done(self) -> wire.Response:
        events = [action.event for action in self.actions if isinstance(action, Send)]
        (done,) = [event for event in events if isinstance(event, wire.ResponseDone)]
        return done.response

    def code(self) -> str:
        """Code of the error that the response failed with."""
        details = self.done().status_details
        assert details is not None
        code: str = details["error"]["code"]
        return code
