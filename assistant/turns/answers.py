"""
Which response is being given, which one waits for it, and what is done beside it.

The conversation has one active response at a time and one that may wait for its end; the
others are refused. Beside it there are responses out of band, transcripts and the watch.
Knows requests and responses; why an answer is wanted, the session knows.

A client that holds its own ``response.create`` back until the end of a response may find
that end to be a barge-in. What it asks for then waits for the answer to what the user
says; and if it asks for nothing in particular, that answer is the one it gets.

While nobody knows yet whether speech is a barge-in, the active response may be put on hold:
it is written, and not shown. It goes on from there, or ends as it was last seen.
"""

import enum
from collections.abc import Callable, Iterator

from assistant.config import Config
from assistant.turns.actions import Action
from assistant.turns.asides import Asides
from assistant.turns.conversation import Conversation, Item
from assistant.turns.load import Load
from assistant.turns.mirror import Mirror
from assistant.turns.request import Request
from assistant.turns.responder import Responder
from assistant.turns.settings import Settings
from assistant.turns.transcripts import Transcripts
from assistant.turns.watching import Watching
from assistant.wire import link, refusals
from assistant.wire.items import FunctionCallOutputItem


class Interruption(enum.Enum):
    """Where the user stands who interrupted a response, and whose turn is answered."""

    NONE = enum.auto()
    SPEAKING = enum.auto()
    ANSWERED = enum.auto()  # the answer is being given


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
        conversation_id = new_id("conv")
        self.responder = Responder(
            config=config,
            conversation=conversation,
            conversation_id=conversation_id,
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
        self._transcripts = Transcripts(
            config=config.transcripts, sequence_numbers=sequence_numbers, emit=emit
        )
        self.watching = Watching(
            config=config,
            conversation=conversation,
            conversation_id=conversation_id,
            sequence_numbers=sequence_numbers,
            new_id=new_id,
            emit=emit,
        )
        self._queued: Request | None = None
        self._interruption = Interruption.NONE
        self._deferred: Request | None = None
        """Asked for across a barge-in."""
        self._newest: Item | None = None
        """That the answer to a barge-in has seen."""
        self._unshown: list[link.Report] | None = None
        """What was written since the active response is on hold; None: it is not."""

    @property
    def active_id(self) -> str | None:
        """Id of the conversation's response under way."""
        return self.responder.active_id

    @property
    def is_answering(self) -> bool:
        return self.active_id is not None or self._asides.is_answering

    @property
    def is_due(self) -> bool:
        """Whether an answer is being given, or waits, or is going to be asked for."""
        is_interrupted = self._interruption is not Interruption.NONE
        return self.is_answering or self._queued is not None or is_interrupted

    @property
    def summary(self) -> str:
        """What the engine computed, in words of the log; empty when that was nothing."""
        watched, total = self.watching.tally, self.responder.total
        computed = [str(total)] if total.num_read else []
        computed += [f"watch: {watched}"] if watched.num_looks else []
        return "; ".join(computed)

    def deadline(self) -> float | None:
        """Return when ``handle_timer`` wants to be called, if nothing happens before."""
        deadlines = (
            self.responder.deadline(),
            self._asides.deadline(),
            self._transcripts.deadline(),
            self.watching.deadline(),
        )
        return min((due for due in deadlines if due is not None), default=None)

    # --- what is wanted -----------------------------------------------------------------

    def check_free(self) -> None:
        """
        Raise EventRefused when the client cannot ask for a response now.

        Some clients ask for what follows a function's result before they saw the end of
        the response that called it: that waits.
        """
        if self._interruption is not Interruption.NONE:
            if self._deferred is not None:
                raise refusals.active_response(self.active_id or "(the one asked for)")
            return
        items = self._conversation.items
        has_result = bool(items) and isinstance(items[-1].call, FunctionCallOutputItem)
        if self.active_id is not None and not (has_result and self._queued is None):
            raise refusals.active_response(self.active_id)

    def queue(self, request: Request) -> None:
        """Answer as soon as no response is active; the latest request counts."""
        if self._interruption is Interruption.NONE or not request.is_asked:
            self._queued = request
        elif (
            self._interruption is Interruption.SPEAKING
            or not request.is_plain
            or self._has_news
        ):
            self._deferred = request

    @property
    def _has_news(self) -> bool:
        """Return whether the answer under way has not seen all there is to answer."""
        items = self._conversation.items
        at = next((n for n, item in enumerate(items) if item is self._newest), None)
        return at is None or any(item.role != "assistant" for item in items[at + 1 :])

    def answer_aside(self, request: Request, now: float) -> None:
        """Answer beside the conversation; raises EventRefused when too many do."""
        self._asides.start(request, now)

    def transcribe(self, item: Item, settings: Settings, now: float) -> None:
        """Have a spoken item written down, if the session asks for that."""
        if settings.transcription is not None:
            self._transcripts.ask(item, settings.transcription, now)
        if settings.type == "transcription":
            item.leave_prompt()  # nobody else will hear it

    def forget(self, item_id: str) -> None:
        """An item was deleted."""
        self._transcripts.forget(item_id)

    def start_queued(self, now: float) -> None:
        """Begin what waits, when nothing is being said any more."""
        if self.active_id is not None:
            return
        if self._interruption is Interruption.ANSWERED:
            self._interruption = Interruption.NONE
        if self._queued is None and self._interruption is Interruption.NONE:
            self._queued, self._deferred = self._deferred, None
        if self._queued is not None:
            request, self._queued = self._queued, None
            self._unshown = None
            if self._interruption is Interruption.SPEAKING:
                self._interruption = Interruption.ANSWERED
                self._newest = self._conversation.items[-1]
                if self._deferred is not None and self._deferred.is_plain:
                    self._deferred = None  # this answers that as well
            self.responder.start(request, now)
        if self.active_id is None:
            self._transcripts.go_on()

    def hold(self) -> None:
        """Show nothing more of the active response for now; it goes on being written."""
        if self.active_id is not None and self._unshown is None:
            self._unshown = []

    def release(self, now: float) -> None:
        """Show what was written meanwhile, and go on."""
        unshown, self._unshown = self._unshown, None
        for report in unshown or ():
            self.responder.receive_report(report, now)

    def interrupt(self, now: float, *, is_answered: bool) -> None:
        """
        The user speaks: what is being said ends, and what was to follow.

        ``is_answered``: the end of what the user says will be, unasked.
        """
        self._unshown = None
        queued, self._queued = self._queued, None
        if self.active_id is not None:
            self.responder.cancel("turn_detected", now)
            self._interruption = Interruption.SPEAKING if is_answered else Interruption.NONE
        if queued is not None and queued.is_asked:
            # Its client waits for an end.
            self.responder.start(queued, now)
            self.responder.cancel("turn_detected", now)

    def leave_to_client(self) -> None:
        """What the user said will not be answered unasked."""
        if self._interruption is Interruption.SPEAKING:
            self._interruption = Interruption.NONE

    def cancel(self, response_id: str | None, now: float) -> None:
        """Cancel one by its id, or the active one; raises EventRefused if there is none."""
        if response_id is not None and self._asides.cancel(response_id, now):
            return
        active = self.active_id
        if active is None or (response_id or active) != active:
            raise refusals.no_active_response()
        self._unshown = None
        self.responder.cancel("client_cancelled", now)

    def close(self) -> None:
        """The session is over: free what the engine holds of it."""
        self._asides.close()
        self._transcripts.close()
        self.watching.close()
        self.responder.close()

    # --- what happened ------------------------------------------------------------------

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        if ready is None:
            self._unshown = None
        self.responder.receive_engine(ready, now)
        self._asides.receive_engine(ready, now)
        self._transcripts.receive_engine(ready)
        self.watching.receive_engine(ready)

    def receive_report(self, report: link.Report, now: float) -> bool:
        """Take a report; return whether the session may go on now with something else."""
        if self.watching.receive_report(report, now):
            return isinstance(report, link.Finished | link.Failed)
        if self._asides.receive_report(report, now):
            return False
        if self._transcripts.receive_report(report):
            if self.active_id is None and self._queued is None:
                self._transcripts.go_on()
            return False
        if self._unshown is not None and isinstance(report, link.Token | link.Finished):
            self._unshown.append(report)
            return False
        was_answering = self.active_id is not None
        self.responder.receive_report(report, now)
        return was_answering and self.active_id is None

    def handle_timer(self, now: float) -> None:
        self.responder.handle_timer(now)
        self._asides.handle_timer(now)
        self._transcripts.handle_timer(now)
