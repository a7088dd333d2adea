"""
The driver of one session: bytes in, actions out, one timer.

A Call owns no socket. Its transport (a WebSocket now) feeds it text and sends what its
outbox holds; the engine client feeds it reports. Everything else is the Session's.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Iterator

from assistant.config import Config
from assistant.errors import MediaError
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.outbox import Outbox
from assistant.gateway.senses import Senses
from assistant.log import SessionLog
from assistant.turns import input_items
from assistant.turns.actions import (
    Hang,
    JudgePause,
    ResetVad,
    Send,
    SetDistance,
    SetInputFormat,
    Tell,
)
from assistant.turns.session import Session
from assistant.turns.timeline import Timeline
from assistant.wire import client_events as client, link, refusals, server_events as wire
from assistant.wire.refusals import EventRefused

SLICE_BYTES = 24_000
"""Sound is judged in slices of half a second (PCM at 24 kHz); between two of them the
other sessions get their turn, however much one client sends at once."""

LARGE_ITEM_CHARS = 64 * 1024
"""Items sent in longer events are read in a thread: a photo or a recording takes 1 to
100 ms to decode and check."""


class Call:
    """One session with its senses, its outbox and its place at the engine."""

    def __init__(self, config: Config, engine: EngineClient, model: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._opened = time.monotonic()
        self._limits = config.limits
        self._engine = engine
        self._senses = Senses(config)
        self._session = Session(
            config=config,
            media=self._senses,
            model=model,
            sequence_numbers=engine.sequence_numbers,
            load=engine.load,
            new_id=_new_id,
            expires_at=int(time.time() + config.server.session_max_s),
            hangover_ms=self._senses.hangover_ms,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self.outbox = Outbox(config.server.max_outbox_bytes)
        self.hang: Hang | None = None
        """How the session wants its connection closed, once the outbox is empty."""
        self.log = SessionLog(logging.getLogger(__name__), self._session.id)

    @property
    def is_answering(self) -> bool:
        return self._session.is_answering

    def open(self, settings: client.SessionPatch | None = None) -> None:
        """Greet the client, with settings that were chosen for it, if any were."""
        if settings is not None:
            self._session.configure(settings)
        self._session.open()
        self._engine.subscribe(self)
        self._carry_out()

    def close(self) -> None:
        """Let go of everything; safe to call once, whatever happened before."""
        try:
            self._session.close()
            self._carry_out()
            if self._session.total.num_read:
                self.log.info("closed: %s", self._session.total)
        finally:
            self._engine.unsubscribe(self)
            self._arm(None)
            self.outbox.close()

    # --- from the client ----------------------------------------------------------------

    async def receive_text(self, text: str) -> None:
        """Take one text frame. Cancelling may leave a long piece of sound half heard."""
        if self.hang is not None:
            return
        try:
            event = client.decode(text)
            match event:
                case client.InputAudioAppend():
                    await self._hear(event)
                case client.InputImageAppend():
                    await self._see(event)
                case client.ItemCreate() if len(text) > LARGE_ITEM_CHARS:
                    item = await asyncio.to_thread(self._session.read_item, event.item)
                    self._session.add_item(item, event, self._now())
                case _:
                    self._session.receive_event(event, self._now())
        except (EventRefused, MediaError) as error:
            self._refuse(error, client.event_id_of(text))
        self._carry_out()

    def receive_binary(self) -> None:
        """Take a binary frame: the protocol has none."""
        self._refuse(refusals.binary_frame(), None)
        self._carry_out()

    async def _hear(self, event: client.InputAudioAppend) -> None:
        limit = self._limits.audio_append_bytes
        if len(event.audio) > limit:
            reason = f"{len(event.audio)} bytes, the bound is {limit}."
            raise refusals.invalid_value("audio", reason)
        self._senses.check(event.audio)
        form = self._session.settings.input_format
        num_samples = form.num_samples(len(event.audio))
        self._session.check_audio_room(num_samples)
        for start in range(0, len(event.audio), SLICE_BYTES):
            if start:
                await asyncio.sleep(0)
            heard = self._senses.hear(event.audio[start : start + SLICE_BYTES])
            self._session.receive_audio(heard, self._now())
            if self._session.detects_turns:
                for probability in self._senses.probabilities():
                    self._session.receive_probability(probability, self._now())
                    self._carry_out()

    async def _see(self, event: client.InputImageAppend) -> None:
        arrived = self._now()
        input_items.checked_timestamp(event.timestamp_ms)  # before what costs more
        picture = await asyncio.to_thread(self._senses.look, event.image)
        with self._senses.looking_at(picture):
            self._session.receive_event(event, arrived)

    def _refuse(self, error: EventRefused | MediaError, event_id: str | None) -> None:
        param = error.param if isinstance(error, EventRefused) else None
        refusal = wire.error(error.code, str(error), param=param, event_id=event_id)
        self.outbox.put(refusal)

    # --- from the engine ----------------------------------------------------------------

    def receive_report(self, report: link.Report) -> None:
        now = self._now()
        if isinstance(report, link.Token) and report.written_at:
            now = min(now, report.written_at - self._opened)
        with self._contained():
            self._session.receive_report(report, now)
            self._carry_out()

    def receive_engine(self, ready: link.Ready | None) -> None:
        with self._contained():
            self._session.receive_engine(ready, self._now())
            self._carry_out()

    # --- inside -------------------------------------------------------------------------

    def left(self, timeline: Timeline) -> None:
        """The transport has sent visible text of that turn."""
        if timeline.first_byte is None:
            timeline.first_byte = self._now()

    def _now(self) -> float:
        # Not the loop's time: uvloop reads that once per iteration, in milliseconds.
        return time.monotonic() - self._opened

    @contextlib.contextmanager
    def _contained(self) -> Iterator[None]:
        """Let a bug end this call alone: what calls us here serves the others as well."""
        try:
            yield
        except Exception:
            self.log.exception("a bug; ending this session")
            self._hang(Hang(1011, "internal error"))

    def _hang(self, hang: Hang) -> None:
        self.hang = hang
        self._arm(None)
        self.outbox.close()

    def _carry_out(self) -> None:
        for action in self._session.actions():
            match action:
                case Send():
                    self.outbox.put(action.event, action.timeline)
                    if isinstance(action.event, wire.ResponseDone):
                        self._log_turn(action.event.response, action.timeline)
                case Tell():
                    self._engine.send(action.order, self)
                case SetInputFormat():
                    self._senses.set_format(action.format)
                case SetDistance():
                    self._senses.set_distance(action.distance)
                case JudgePause():
                    self._judge(action)
                case ResetVad():
                    self._senses.skip()
                case Hang():
                    self._hang(action)
        if self.hang is None:
            self._arm(self._session.deadline())

    def _judge(self, question: JudgePause) -> None:
        """Ask in a thread how final a pause sounds: that takes 10 to 100 ms."""
        clip = self._senses.clip(question.start, question.stop)
        future = self._loop.run_in_executor(None, self._senses.finality, clip)
        future.add_done_callback(lambda done: self._judged(question.number, done))

    def _judged(self, number: int, done: asyncio.Future[float]) -> None:
        if done.cancelled() or self.hang is not None:
            return
        with self._contained():
            self._session.receive_finality(number, done.result())

    def _arm(self, due: float | None) -> None:
        # Not asked of the handle: uvloop's have another idea of when, or none.
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due is not None:
            self._timer = self._loop.call_later(due - self._now(), self._handle_timer)

    def _handle_timer(self) -> None:
        self._due = self._timer = None
        with self._contained():
            self._session.handle_timer(self._now())
            self._carry_out()

    def _log_turn(self, response: wire.Response, timeline: Timeline | None) -> None:
        tokens = response.usage.output_tokens if response.usage else 0
        vendor = response.assistant or {}
        early = ", ".join(f"{k} {v}" for k, v in vendor.get("early", {}).items() if v)
        self.log.info("%s: %d tokens; %s; %s", response.status, tokens, timeline, early)


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"
