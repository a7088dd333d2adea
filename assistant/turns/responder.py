"""
One response at a time: from the decision to answer to ``response.done``.

Knows the conversation, the mirror of the engine's sequence and the ladder of events;
knows nothing of speech. It does no I/O: orders for the engine and events for the client
go to ``emit``. A report that belongs to an ended generation is dropped by its number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from assistant.config import Config
from assistant.turns import prompt, tasks
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.conversation import Conversation, Item, Text
from assistant.turns.mirror import Mirror
from assistant.turns.reply import Reply
from assistant.turns.tasks import Task
from assistant.turns.timeline import Timeline
from assistant.wire import link, server_events as wire
from assistant.wire.refusals import EventRefused

MIN_REPLY_TOKENS = 64
"""Room that trimming leaves for a reply, however long it may become."""

TRIMMED_SHARE = 0.75
"""Of the budget, what trimming leaves: each one costs a new prefill of all that stays, so
several turns leave at once and the next ones fit as they are."""


@dataclass(slots=True, kw_only=True)
class Request:
    """What a response was asked with; the session's settings at that moment."""

    instructions: str
    max_output_tokens: int | Literal["inf"]
    truncation: str | dict[str, Any] = "auto"
    metadata: dict[str, str] | None = None
    items: list[Item] | None = None
    """Context instead of the conversation, or None."""
    task: Task = tasks.ASSISTANT
    frames: list[dict[str, Any]] = field(default_factory=list)
    """Every frame that was offered to the turn, for the vendor key."""
    timeline: Timeline = field(default_factory=Timeline)


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
    item: Item | None = None
    token_ids: list[int] = field(default_factory=list)


class Responder:
    """Start, stream, cancel and end responses, one at a time."""

    def __init__(
        self,
        *,
        config: Config,
        conversation: Conversation,
        conversation_id: str,
        mirror: Mirror,
        new_id: Callable[[str], str],
        emit: Callable[[Action], None],
    ) -> None:
        self._config = config
        self._conversation = conversation
        self._conversation_id = conversation_id
        self._mirror = mirror
        self._new_id = new_id
        self._emit = emit
        self._generations: Iterator[int] = iter(range(1, 2**62))
        self._running: Running | None = None
        self._budget: int | None = None  # tokens; None while the engine is away

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
            self._budget = None
            self._mirror.forget()
            if self._running is not None and self._running.is_ordered:
                self._fail("engine_gone", "The inference engine stopped.", now)
            return
        self._budget = ready.max_sequence_tokens
        if self._running is not None and not self._running.is_ordered:
            self._order(self._running)

    def receive_report(self, report: link.Report, now: float) -> None:
        running = self._running
        if isinstance(report, link.Appended):
            self._mirror.receive_appended(report)
        elif isinstance(report, link.Failed) and report.generation is None:
            if report.sequence == self._mirror.sequence:
                self._refused(report, now)
        elif running is None or getattr(report, "generation", None) != running.generation:
            return
        elif isinstance(report, link.Admitted):
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
            self._fail("server_overloaded", message, now)

    # --- what is wanted -----------------------------------------------------------------

    def start(self, request: Request, now: float) -> None:
        """Begin a response. The caller has seen that none is active."""
        assert self._running is None, "two responses at once"
        reply = Reply(
            response_id=self._new_id("resp"),
            item_id=self._new_id("item"),
            conversation_id=self._conversation_id,
            max_output_tokens=request.max_output_tokens,
            metadata=request.metadata,
        )
        deadline = now + self._config.engine.admission_timeout_s
        running = Running(request, reply, next(self._generations), deadline)
        self._running = running
        self._emit_events(reply.open())
        if self._budget is not None:
            self._order(running)

    def cancel(
        self, reason: Literal["turn_detected", "client_cancelled"], now: float
    ) -> None:
        """End the active response here; what the client has seen stays in the history."""
        running = self._running
        assert running is not None, "nothing to cancel"
        if running.is_ordered and self._mirror.sequence is not None:
            kept = len(running.token_ids)
            self._emit(Tell(link.Cancel(self._mirror.sequence, running.generation, kept)))
        self._close("cancelled", now, {"type": "cancelled", "reason": reason})

    # --- inside -------------------------------------------------------------------------

    def _order(self, running: Running) -> None:
        """Tell the engine to read what it does not hold yet, and to answer."""
        assert self._budget is not None
        for item in prompt.images_to_age(
            self._conversation.items,
            most=self._config.pairing.max_prompt_images,
            keep=self._config.pairing.keep_prompt_images,
        ):
            item.drop_images()
        request = running.request
        items = self._conversation.items if request.items is None else request.items
        segments = prompt.segments(request.instructions, items)
        if self._mirror.known_cost(segments) + MIN_REPLY_TOKENS > self._budget:
            bound = self._budget * TRIMMED_SHARE - MIN_REPLY_TOKENS
            while self._mirror.known_cost(segments) > bound and self._trim(request):
                segments = prompt.segments(request.instructions, items)
        adapter = prompt.adapter_for(items)
        reply_key = prompt.reply_key(running.reply.item_id)
        self._emit_orders(self._mirror.orders(adapter, segments, reply_key))
        self._mirror.prune_costs(segments)
        sequence = self._mirror.sequence
        assert sequence is not None
        running.is_ordered = True
        sampling = self._sampling(request, running.generation)
        self._emit(Tell(link.Generate(sequence, running.generation, sampling)))

    def _trim(self, request: Request) -> bool:
        """Let the oldest turn leave the prompt; False when there is none to spare."""
        if request.truncation == "disabled" or request.items is not None:
            return False
        leaving = prompt.oldest_turn(self._conversation.items)
        for item in leaving:
            item.leave_prompt()
        return bool(leaving)

    def _sampling(self, request: Request, generation: int) -> link.Sampling:
        reply = self._config.reply
        asked = request.max_output_tokens
        return link.Sampling(
            max_tokens=reply.max_output_tokens if asked == "inf" else int(asked),
            temperature=reply.temperature,
            top_p=reply.top_p,
            seed=reply.seed + generation,
        )

    def _receive_token(self, running: Running, report: link.Token, now: float) -> None:
        timeline = running.request.timeline
        if timeline.first_token is None:
            timeline.first_token = now
        running.is_admitted = True
        running.token_ids += report.ids
        self._write(running, report.text, now)

    def _write(self, running: Running, text: str, now: float) -> bool:
        """Show more of the reply; False when that ended it."""
        if not text:
            return True
        if running.item is None:
            item = Item(
                id=running.reply.item_id,
                role="assistant",
                content=[Text("")],
                status="in_progress",
            )
            try:
                previous = self._conversation.insert(item)
            except EventRefused as error:  # the conversation is full
                self._emit_orders(self._mirror.close())
                self._fail(str(error.code), error.message, now)
                return False
            running.item = item
            self._emit_events(running.reply.start_item(previous))
        self._emit_events(running.reply.write(text), running.request.timeline)
        return True

    def _receive_finished(
        self, running: Running, report: link.Finished, now: float
    ) -> None:
        if not self._write(running, report.text, now):
            return
        cost = self._mirror.held_cost()
        usage = wire.Usage(
            total_tokens=report.num_prompt + report.num_output,
            input_tokens=report.num_prompt,
            output_tokens=report.num_output,
            input_token_details=wire.TokenDetails(
                text_tokens=max(0, report.num_prompt - cost.num_image - cost.num_audio),
                audio_tokens=cost.num_audio,
                image_tokens=cost.num_image,
                cached_tokens=report.num_cached,
            ),
            output_token_details=wire.TokenDetails(text_tokens=report.num_output),
        )
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
            return
        fits_trimmed = report.code == "context_length_exceeded" and running.item is None
        if fits_trimmed and self._budget is not None and self._trim(running.request):
            running.generation = next(self._generations)
            running.is_admitted = False
            self._order(running)
            return
        if report.generation is None and running.request.items is None:
            self._set_aside()
        self._fail(report.code, report.message, now)

    def _set_aside(self) -> None:
        """What the engine cannot read must not spoil every later prompt as well."""
        for item in reversed(self._conversation.items):
            if item.role == "user" and item.is_in_prompt:
                item.leave_prompt()
                return

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
        if running.item is not None:
            running.item.content = [Text(running.reply.text)]
            running.item.token_ids = tuple(running.token_ids)
            self._mirror.receive_reply(len(running.token_ids))
            running.item.status = "completed" if ending == "completed" else "incomplete"
        vendor = {"frames": running.request.frames, "timeline": timeline.to_wire()}
        vendor |= tasks.fields(running.request.task, running.reply.text)
        self._emit_events(running.reply.close(ending, details, usage, vendor), timeline)

    def _emit_orders(self, orders: list[link.Order]) -> None:
        for order in orders:
            self._emit(Tell(order))

    def _emit_events(
        self, events: list[wire.ServerEvent], timeline: Timeline | None = None
    ) -> None:
        for event in events:
            self._emit(Send(event, timeline))
