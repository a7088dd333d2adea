"""
One response at a time: from the decision to answer to ``response.done``.

Knows the conversation, the mirror of the engine's sequence and the ladder of events;
knows nothing of speech. It does no I/O: orders for the engine and events for the client
go to ``emit``. A report that belongs to an ended generation is dropped by its number.

While no response is active, the engine is kept busy with what the next one will need
(``look_ahead``). Nothing of that changes the conversation or reaches the client.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from assistant.config import Config
from assistant.turns import prompt, tasks
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.conversation import Conversation
from assistant.turns.load import Load
from assistant.turns.lookahead import Lookahead
from assistant.turns.mirror import Mirror
from assistant.turns.plan import Outlook, Plan, Plans
from assistant.turns.reply import Reply
from assistant.turns.request import Request as Request
from assistant.turns.tally import Tally
from assistant.turns.timeline import Timeline
from assistant.wire import link, server_events as wire
from assistant.wire.refusals import EventRefused


@dataclass(slots=True)
class Running:
    """The active response."""

    request: Request
    reply: Reply
    generation: int
    deadline: float
    """When a generation that was not admitted fails."""
    is_ordered: bool = False
    is_admitted: bool = False
    token_ids: list[int] = field(default_factory=list)


class Responder:
    """Start, stream, cancel and end responses, one at a time."""

    def __init__(
        self,
        *,
        config: Config,
        conversation: Conversation,
        conversation_id: str | None,
        mirror: Mirror,
        load: Load,
        new_id: Callable[[str], str],
        emit: Callable[[Action], None],
    ) -> None:
        self._config = config
        self._conversation = conversation
        self._conversation_id = conversation_id
        self._mirror = mirror
        self._new_id = new_id
        self._emit = emit
        self.total = Tally()
        """Of all responses."""
        self._load = load
        self._plans = Plans(config, conversation, mirror)
        self._generations: Iterator[int] = iter(range(1, 2**62))
        self._ahead = Lookahead(
            mirror=mirror,
            load=load,
            share=config.early.speculation_share if config.early.speculation else 0.0,
            generations=self._generations,
            new_id=new_id,
            emit=emit,
        )
        self._num_responses = 0
        self._running: Running | None = None
        self._has_engine = False

    @property
    def active_id(self) -> str | None:
        """Id of the active response."""
        return self._running.reply.response_id if self._running else None

    def deadline(self) -> float | None:
        running = self._running
        return None if running is None or running.is_admitted else running.deadline

    # --- what happened ------------------------------------------------------------------

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        """The engine became ready, or (None) is gone with everything it held."""
        if ready is None:
            self._has_engine = False
            self._ahead.forget()
            self._mirror.forget()
            if self._running is not None and self._running.is_ordered:
                self._fail("engine_gone", "The inference engine stopped.", now)
            return
        self._has_engine = True
        self._plans.budget = ready.max_sequence_tokens
        self._load.num_slots = ready.num_slots
        if self._running is not None and not self._running.is_ordered:
            self._order(self._running)

    def receive_report(self, report: link.Report, now: float) -> None:
        if isinstance(report, link.Token):
            self._mirror.tally.num_written += len(report.ids)
        if isinstance(report, link.Appended):
            self._mirror.receive_appended(report)
        elif isinstance(report, link.Failed) and report.generation is None:
            if report.sequence == self._mirror.sequence:
                self._refused(report, now)
        elif not self._ahead.receive(report, now):
            self._receive(report, now)

    def _receive(self, report: link.Report, now: float) -> None:
        running = self._running
        if running is None or getattr(report, "generation", None) != running.generation:
            return
        if getattr(report, "sequence", None) != self._mirror.sequence:
            return  # late, of a response out of band or of a transcript
        if isinstance(report, link.Admitted):
            running.is_admitted = True
            running.request.timeline.admitted = now
        elif isinstance(report, link.Token):
            self._receive_token(running, report, now)
        elif isinstance(report, link.Finished):
            self._receive_finished(running, report, now)
        elif isinstance(report, link.Failed) and report.code != "sequence_failed":
            # A generation on a failed sequence: the refused append says why, and comes.
            self._refused(report, now)

    def handle_timer(self, now: float) -> None:
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            waited_s = self._config.engine.admission_timeout_s
            message = f"The engine did not take the turn within {waited_s:g} s."
            self._emit_orders(self._mirror.close())
            self._ahead.give_up()  # an engine that is late is not to be kept busy
            self._fail("server_overloaded", message, now)

    # --- what is wanted -----------------------------------------------------------------

    def start(self, request: Request, now: float) -> None:
        """Begin a response. The caller has seen that none is active."""
        assert self._running is None, "two responses at once"
        self._num_responses += 1
        self._load.answer(self)
        plan = guess = None
        if self._has_engine:
            plan = self._plans.settle(request, self._num_responses)
            guess = self._ahead.confirm(plan, now)
        reply = Reply(
            response_id=self._new_id("resp"),
            item_id=guess.item_id if guess else self._new_id("item"),
            conversation_id=self._conversation_id,
            max_output_tokens=request.max_output_tokens,
            metadata=request.metadata,
            conversation=self._conversation,
            new_id=self._new_id,
            tools=request.tools,
        )
        deadline = now + self._config.engine.admission_timeout_s
        number = guess.generation if guess else next(self._generations)
        running = Running(request, reply, number, deadline, is_ordered=guess is not None)
        self._running = running
        self._emit_events(reply.open())
        if guess is not None:
            sequence = self._mirror.sequence
            assert sequence is not None
            self._mirror.serve()
            self._emit(Tell(link.Promote(sequence, number)))
            for report in guess.held:
                self._receive(report, now)
        elif plan is not None:
            self._order(running, plan)

    def look_ahead(self, request: Request, outlook: Outlook, now: float) -> None:
        """
        Let the engine do what the next answer will need; the latest call counts.

        ``request`` is what the next response would be asked with as things stand.
        """
        if self._running is not None or not self._has_engine:
            return
        if outlook.may_trim:
            self._plans.make_room(request)
        if outlook.is_pause:
            plan = self._plans.guess(request, outlook.items, self._num_responses + 1)
            if plan is not None and self._ahead.speculate(plan, now):
                return
        opening = self._plans.opening(request, outlook)
        if opening is None:
            self._ahead.stop()
        else:
            self._ahead.read(*opening)

    @property
    def is_speculating(self) -> bool:
        return self._ahead.is_speculating

    @property
    def may_speculate(self) -> bool:
        """True when there is room for a speculation, or for the one under way."""
        return self._ahead.may_speculate

    @property
    def adapter(self) -> link.Adapter | None:
        """What the engine holds was read under it; None when it holds nothing."""
        return None if self._mirror.sequence is None else self._mirror.adapter

    def close(self) -> None:
        """The session ends: free what the engine holds of it."""
        self._ahead.forget()
        self._emit_orders(self._mirror.close())
        self._load.rest(self)
        self._count()

    def cancel(
        self, reason: Literal["turn_detected", "client_cancelled"], now: float
    ) -> None:
        """End the active response here; what the client has seen stays in the history."""
        running = self._running
        assert running is not None, "nothing to cancel"
        if running.is_ordered and self._mirror.sequence is not None:
            kept = len(running.token_ids)
            self._emit(Tell(link.Cancel(self._mirror.sequence, running.generation, kept)))
        usage = self._mirror.usage_so_far(len(running.token_ids))
        self._close("cancelled", now, {"type": "cancelled", "reason": reason}, usage)

    # --- inside -------------------------------------------------------------------------

    def _order(self, running: Running, plan: Plan | None = None) -> None:
        """Tell the engine to read what it does not hold yet, and to answer."""
        plan = plan or self._plans.settle(running.request, self._num_responses)
        reply_key = prompt.reply_key(running.reply.item_id)
        self._emit_orders(self._mirror.orders(plan.adapter, plan.segments, reply_key))
        self._mirror.serve()
        self._mirror.prune_costs(plan.segments)
        sequence = self._mirror.sequence
        assert sequence is not None
        running.is_ordered = True
        self._emit(Tell(link.Generate(sequence, running.generation, plan.sampling)))

    def _receive_token(self, running: Running, report: link.Token, now: float) -> None:
        timeline = running.request.timeline
        if timeline.first_token is None:
            # Written before the turn was over, perhaps; admitted when it was.
            timeline.first_token = max(now, timeline.admitted or now)
        running.is_admitted = True
        running.token_ids += report.ids
        self._show(running, running.reply.write(report.text), now)

    def _show(
        self, running: Running, events: Iterable[wire.ServerEvent], now: float
    ) -> bool:
        """Show more of the reply; False when that ended it."""
        try:
            self._emit_events(events, running.request.timeline)
        except EventRefused as error:  # the conversation is full
            self._emit_orders(self._mirror.close())
            self._fail(str(error.code), error.message, now)
            return False
        return True

    def _receive_finished(
        self, running: Running, report: link.Finished, now: float
    ) -> None:
        reply, is_whole = running.reply, report.reason != "length"
        if not self._show(running, reply.write(report.text), now):
            return
        if not self._show(running, reply.end_text(is_whole=is_whole), now):
            return
        usage = self._mirror.usage(report)
        if report.reason == "length":
            details = {"type": "incomplete", "reason": "max_output_tokens"}
            self._close("incomplete", now, details, usage)
        else:
            self._close("completed", now, None, usage)

    def _refused(self, report: link.Failed, now: float) -> None:
        """The engine refused the prompt or the generation: trim and try again, or fail."""
        running = self._running
        self._emit_orders(self._mirror.close())
        if running is None:
            self._ahead.give_up()
            return
        fits_trimmed = report.code == "context_length_exceeded" and not running.reply.items
        if fits_trimmed and self._has_engine and self._plans.trim(running.request):
            running.generation = next(self._generations)
            running.is_admitted = False
            self._order(running)
            return
        if report.generation is None and running.request.items is None:
            self._plans.set_aside()
        self._fail(report.code, report.message, now)

    def _fail(self, code: str, message: str, now: float) -> None:
        error = {"type": "server_error", "code": code, "message": message}
        self._close("failed", now, {"type": "failed", "error": error})

    def _close(
        self,
        ending: Literal["completed", "cancelled", "failed", "incomplete"],
        now: float,
        details: dict[str, Any] | None,
        usage: wire.Usage | None = None,
    ) -> None:
        running = self._running
        assert running is not None
        self._running = None
        timeline = running.request.timeline
        timeline.done = now
        if running.reply.items:
            self._mirror.receive_reply(len(running.token_ids))
        self._load.rest(self)
        tally = self._count()
        vendor = {
            "frames": running.request.frames,
            "timeline": timeline.to_wire(),
            "early": tally.to_wire(),
            **tasks.fields(running.request.task, running.reply.text),
        }
        events = running.reply.close(ending, details, usage, vendor, running.token_ids)
        self._emit_events(events, timeline)

    def _count(self) -> Tally:
        """Return what was computed since the last response, and add it to the totals."""
        tally = self._mirror.tally.take()
        self.total.add(tally)
        self._load.total.add(tally)
        return tally

    def _emit_orders(self, orders: list[link.Order]) -> None:
        for order in orders:
            self._emit(Tell(order))

    def _emit_events(
        self, events: Iterable[wire.ServerEvent], timeline: Timeline | None = None
    ) -> None:
        for event in events:
            self._emit(Send(event, timeline))
