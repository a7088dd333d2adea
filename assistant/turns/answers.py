"""
Which response is being given, which one waits for it, and which are given out of band.

The conversation has one active response at a time and one that may wait for its end; the
others are refused. Knows requests and responses; why an answer is wanted, the session
knows.
"""

from collections.abc import Callable, Iterator

from assistant.config import Config
from assistant.turns.actions import Action
from assistant.turns.asides import Asides
from assistant.turns.conversation import Conversation
from assistant.turns.load import Load
from assistant.turns.mirror import Mirror
from assistant.turns.request import Request
from assistant.turns.responder import Responder
from assistant.wire import link, refusals
from assistant.wire.items import FunctionCallOutputItem


class Answers:
    """The responses of one session."""

    def __init__(
        self,
        *,
        config: Config,
        conversation: Conversation,
        sequence_numbers: Iterator[int],
        load: Load,
        new_id: Callable[[str], str],
        emit: Callable[[Action], None],
    ) -> None:
        self._conversation = conversation
        self.responder = Responder(
            config=config,
            conversation=conversation,
            conversation_id=new_id("conv"),
            mirror=Mirror(sequence_numbers),
            load=load,
            new_id=new_id,
            emit=emit,
        )
        self._asides = Asides(
            config=config,
            sequence_numbers=sequence_numbers,
            load=load,
            new_id=new_id,
            emit=emit,
        )
        self._queued: Request | None = None
        self._held: list[link.Report] | None = None
        """What was written since the active response is on hold; None: it is not."""

    @property
    def active_id(self) -> str | None:
        """Id of the conversation's response under way."""
        return self.responder.active_id

    @property
    def is_answering(self) -> bool:
        return self.active_id is not None or self._asides.is_answering

    def deadline(self) -> float | None:
        """Return when ``handle_timer`` wants to be called, if nothing happens before."""
        deadlines = (self.responder.deadline(), self._asides.deadline())
        return min((due for due in deadlines if due is not None), default=None)

    # --- what is wanted -----------------------------------------------------------------

    def check_free(self) -> None:
        """
        Raise EventRefused when the client cannot ask for a response now.

        Some clients ask for what follows a function's result before they saw the end of
        the response that called it: that waits.
        """
        items = self._conversation.items
        has_result = bool(items) and isinstance(items[-1].call, FunctionCallOutputItem)
        if self.active_id is not None and not (has_result and self._queued is None):
            raise refusals.active_response(self.active_id)

    def queue(self, request: Request) -> None:
        """Answer as soon as no response is active; the latest request counts."""
        self._queued = request

    def answer_aside(self, request: Request, now: float) -> None:
        """Answer beside the conversation; raises EventRefused when too many do."""
        self._asides.start(request, now)

    def start_queued(self, now: float) -> None:
        if self._queued is not None and self.active_id is None:
            request, self._queued = self._queued, None
            self._held = None
            self.responder.start(request, now)

    def hold(self) -> None:
        """Show nothing more of the active response for now; it goes on being written."""
        if self.active_id is not None and self._held is None:
            self._held = []

    def release(self, now: float) -> None:
        """Show what was written meanwhile, and go on."""
        held, self._held = self._held, None
        for report in held or ():
            self.responder.receive_report(report, now)

    def interrupt(self, now: float) -> None:
        """The user speaks: what is being said ends, and what was to follow."""
        self._held = None
        queued, self._queued = self._queued, None
        if self.active_id is not None:
            self.responder.cancel("turn_detected", now)
        if queued is not None and queued.is_asked:
            # Its client waits for an end.
            self.responder.start(queued, now)
            self.responder.cancel("turn_detected", now)

    def cancel(self, response_id: str | None, now: float) -> None:
        """Cancel one by its id, or the active one; raises EventRefused if there is none."""
        if response_id is not None and self._asides.cancel(response_id, now):
            return
        active = self.active_id
        if active is None or (response_id or active) != active:
            raise refusals.no_active_response()
        self._held = None
        self.responder.cancel("client_cancelled", now)

    def close(self) -> None:
        """The session is over: free what the engine holds of it."""
        self._asides.close()
        self.responder.close()

    # --- what happened ------------------------------------------------------------------

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        if ready is None:
            self._held = None
        self.responder.receive_engine(ready, now)
        self._asides.receive_engine(ready, now)

    def receive_report(self, report: link.Report, now: float) -> bool:
        """Take a report; return whether it ended the active response."""
        if self._asides.receive_report(report, now):
            return False
        if self._held is not None and isinstance(report, link.Token | link.Finished):
            self._held.append(report)
            return False
        was_answering = self.active_id is not None
        self.responder.receive_report(report, now)
        return was_answering and self.active_id is None

    def handle_timer(self, now: float) -> None:
        self.responder.handle_timer(now)
        self._asides.handle_timer(now)
