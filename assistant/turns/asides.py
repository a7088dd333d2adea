"""
Responses out of band (``conversation: "none"``): beside the conversation, never in it.

Each has a sequence of its own in the engine, so the conversation's stays as it is; what
it says is announced as output of the response and as no item of the conversation. Speech
does not interrupt it, and it does not count as the active response.
"""

from collections.abc import Callable, Iterator

from assistant.config import Config
from assistant.turns.actions import Action
from assistant.turns.conversation import Conversation
from assistant.turns.load import Load
from assistant.turns.mirror import Mirror
from assistant.turns.request import Request
from assistant.turns.responder import Responder
from assistant.wire import link
from assistant.wire.refusals import EventRefused

MAX_ASIDES = 4
"""At once, of one session: each takes a slot of the engine from others."""


class Asides:
    """The out-of-band responses of one session that are not over."""

    def __init__(
        self,
        *,
        config: Config,
        sequence_numbers: Iterator[int],
        load: Load,
        new_id: Callable[[str], str],
        emit: Callable[[Action], None],
    ) -> None:
        self._config = config
        self._sequence_numbers = sequence_numbers
        self._load = load
        self._new_id = new_id
        self._emit = emit
        self._ready: link.Ready | None = None
        self._open: list[tuple[Responder, Mirror]] = []

    def start(self, request: Request, now: float) -> None:
        """
        Begin one; its ``request.items`` are all that it reads.

        Raises:
            EventRefused: As many as may be are under way.
        """
        assert request.items is not None
        if len(self._open) >= MAX_ASIDES:
            raise EventRefused(
                "too_many_responses",
                f"{MAX_ASIDES} responses outside the conversation are in progress, which "
                "is the bound.",
            )
        mirror = Mirror(self._sequence_numbers)
        limits = self._config.limits
        responder = Responder(
            config=self._config,
            conversation=Conversation(limits.conversation_items, limits.conversation_bytes),
            conversation_id=None,
            mirror=mirror,
            load=self._load,
            new_id=self._new_id,
            emit=self._emit,
        )
        self._open.append((responder, mirror))
        responder.receive_engine(self._ready, now)
        responder.start(request, now)

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        self._ready = ready
        for responder, _ in self._open:
            responder.receive_engine(ready, now)
        self._let_go()

    def receive_report(self, report: link.Report, now: float) -> bool:
        """Take a report; False when it is about none of these."""
        for responder, mirror in self._open:
            if mirror.sequence is not None and _sequence_of(report) == mirror.sequence:
                responder.receive_report(report, now)
                self._let_go()
                return True
        return False

    def cancel(self, response_id: str, now: float) -> bool:
        """Cancel one by its id; False when there is none."""
        for responder, _ in self._open:
            if responder.active_id == response_id:
                responder.cancel("client_cancelled", now)
                self._let_go()
                return True
        return False

    def handle_timer(self, now: float) -> None:
        for responder, _ in self._open:
            responder.handle_timer(now)
        self._let_go()

    def deadline(self) -> float | None:
        deadlines = [responder.deadline() for responder, _ in self._open]
        return min((d for d in deadlines if d is not None), default=None)

    def close(self) -> None:
        """The session is over."""
        for responder, _ in self._open:
            responder.close()
        self._open.clear()

    @property
    def is_answering(self) -> bool:
        return bool(self._open)

    def _let_go(self) -> None:
        """Free the sequences of those that are over."""
        for responder, _ in self._open:
            if responder.active_id is None:
                responder.close()
        self._open = [pair for pair in self._open if pair[0].active_id is not None]


def _sequence_of(report: link.Report) -> int | None:
    return None if isinstance(report, link.Ready | link.Pong) else report.sequence
