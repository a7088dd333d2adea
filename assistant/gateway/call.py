"""
The driver of one session: bytes in, actions out, one timer.

A Call owns no socket. Its transports feed it text, sound and pictures and send what their
outboxes hold; the engine client feeds it reports. Everything else is the Session's.

One transport leads: when it ends, so does the call. Others may listen and speak beside it,
and one of them may take the lead, which is how a client comes back over another network.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Iterator

from assistant.config import Config
from assistant.errors import MediaError
from assistant.gateway.audience import Audience
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.outbox import Outbox
from assistant.gateway.senses import Senses
from assistant.gateway.tracks import Tracks
from assistant.log import SessionLog
from assistant.media.audio import Samples
from assistant.media.frames import Frame
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
from assistant.turns.pace import Pace
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
        self._engine = engine
        self._senses = Senses(config)
        self._pace = Pace(config.limits)
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
        self._lead: asyncio.Event | None = None
        self.id = _new_id("rtc")
        """Under which further connections find it; it cannot be guessed."""
        self.audience = Audience(config.server.max_outbox_bytes)
        self.hang: Hang | None = None
        """How the session wants its connections closed, once their outboxes are empty."""
        self.ended = asyncio.Event()
        """Set when the session ends, from whichever side."""
        self.tracks = Tracks()
        self.log = SessionLog(logging.getLogger(__name__), self._session.id)

    @property
    def is_answering(self) -> bool:
        return self._session.is_answering

    @property
    def is_looking(self) -> bool:
        """True while pictures are wanted: somebody is speaking, or the watch is on."""
        return self._session.is_looking

    def now(self) -> float:
        """Return the session time."""
        # Not the loop's time: uvloop reads that once per iteration, in milliseconds.
        return time.monotonic() - self._opened

    def open(self, *patches: client.SessionPatch | None) -> Outbox:
        """
        Greet the client, with settings that were chosen for it; return its outbox.

        Raises:
            EventRefused: A setting has no such value; the call must be dropped.
        """
        for patch in patches:
            if patch is not None:
                self._session.configure(patch)
        outbox = self.audience.join()
        self._session.open()
        self._engine.subscribe(self)
        self._carry_out()
        return outbox

    def join(self, last_id: str = "") -> Outbox:
        """
        Greet one more connection; return its outbox.

        Args:
            last_id: Of the last event that this client received before, to go on from.
        """
        outbox = self.audience.join()
        greeting = wire.SessionCreated(session=self._session.to_wire())
        self.audience.tell(outbox, greeting)
        if last_id:
            self.audience.repeat(outbox, last_id)
        return outbox

    def take_lead(self) -> asyncio.Event:
        """Let one connection lead; return what is set once another one does."""
        if self._lead is not None:
            self._lead.set()
        self._lead = asyncio.Event()
        self.tracks.drop()
        return self._lead

    def hang_up(self) -> None:
        """End the call for everybody, once what was said has left."""
        self._hang(Hang(1000, "hung up"))

    def close(self) -> None:
        """Let go of everything; safe to call once, whatever happened before."""
        try:
            self._session.close()
            self._carry_out()
            if self._session.summary:
                self.log.info("closed: %s", self._session.summary)
        finally:
            self._engine.unsubscribe(self)
            self._arm(None)
            self.audience.close()
            self.ended.set()

    # --- from the client ----------------------------------------------------------------

    async def receive_text(self, text: str, sender: Outbox) -> None:
        """Take one text frame. Cancelling may leave a long piece of sound half heard."""
        if self.hang is not None:
            return
        try:
            event = client.decode(text)
            await self.tracks.prepare(event)
            match event:
                case client.InputAudioAppend():
                    await self._hear(event)
                case client.InputImageAppend():
                    await self._see(event)
                case client.ItemCreate() if len(text) > LARGE_ITEM_CHARS:
                    item = await asyncio.to_thread(self._session.read_item, event.item)
                    self._session.add_item(item, event, self.now())
                case _:
                    self._session.receive_event(event, self.now())
        except (EventRefused, MediaError) as error:
            self._refuse(error, client.event_id_of(text), sender)
        self._carry_out()

    def receive_binary(self, sender: Outbox) -> None:
        """Take a binary frame: the protocol has none."""
        self._refuse(refusals.binary_frame(), None, sender)
        self._carry_out()

    def hear(self, samples: Samples) -> None:
        """Take sound of a media track; what nobody commits in time is dropped."""
        if self.hang is not None:
            return
        with self._contained():
            self._heard(self._senses.listen(samples))
            self._carry_out()

    def see(self, picture: Frame, captured_s: float) -> None:
        """Take a checked picture of a media track, captured at that session time."""
        if self.hang is not None:
            return
        with self._contained():
            with self._senses.looking_at(picture):
                event = client.InputImageAppend(image=picture.data)
                self._session.receive_event(event, captured_s)
            self._carry_out()

    async def _hear(self, event: client.InputAudioAppend) -> None:
        self._pace.check_size(len(event.audio))
        self._senses.check(event.audio)
        form = self._session.settings.input_format
        num_samples = form.num_samples(len(event.audio))
        self._session.check_audio_room(num_samples)
        self._pace.take(num_samples, self.now())
        for start in range(0, len(event.audio), SLICE_BYTES):
            if start:
                await asyncio.sleep(0)
            self._heard(self._senses.hear(event.audio[start : start + SLICE_BYTES]))

    def _heard(self, num_heard: int) -> None:
        self._session.receive_audio(num_heard, self.now())
        if self._session.detects_turns:
            for probability in self._senses.probabilities():
                self._session.receive_probability(probability, self.now())
                self._act()

    async def _see(self, event: client.InputImageAppend) -> None:
        arrived = self.now()
        input_items.checked_timestamp(event.timestamp_ms)  # before what costs more
        picture = await asyncio.to_thread(self._senses.look, event.image)
        with self._senses.looking_at(picture):
            self._session.receive_event(event, arrived)

    def _refuse(
        self, error: EventRefused | MediaError, event_id: str | None, sender: Outbox
    ) -> None:
        self.audience.tell(sender, _refusal(error, event_id))
        if self._pace.is_flood:
            self._hang(Hang(1008, "sound came faster than it is spoken"))

    # --- from the engine ----------------------------------------------------------------

    def receive_report(self, report: link.Report) -> None:
        now = self.now()
        if isinstance(report, link.Token) and report.written_at:
            now = min(now, report.written_at - self._opened)
        with self._contained():
            self._session.receive_report(report, now)
            self._carry_out()

    def receive_engine(self, ready: link.Ready | None) -> None:
        with self._contained():
            self._session.receive_engine(ready, self.now())
            self._carry_out()

    # --- inside -------------------------------------------------------------------------

    def left(self, timeline: Timeline) -> None:
        """The transport has sent visible text of that turn."""
        if timeline.first_byte is None:
            timeline.first_byte = self.now()

    @contextlib.contextmanager
    def _contained(self) -> Iterator[None]:
        """
        Let a bug end this call alone: what calls us here serves the others as well.

        No event of a client's is under way, so what is refused is told to everybody.
        """
        try:
            try:
                yield
            except (EventRefused, MediaError) as error:
                self.audience.put(_refusal(error, None))
                self._carry_out()
        except Exception:
            self.log.exception("a bug; ending this session")
            self._hang(Hang(1011, "internal error"))

    def _hang(self, hang: Hang) -> None:
        self.hang = hang
        self.ended.set()
        self._arm(None)
        self.audience.close()

    def _carry_out(self) -> None:
        self._act()
        if self.hang is None:
            self._arm(self._session.deadline())

    def _act(self) -> None:
        for action in self._session.actions():
            match action:
                case Send():
                    self.audience.put(action.event, action.timeline)
                    if isinstance(action.event, wire.ResponseDone):
                        self._log_turn(action.event.response, action.timeline)
                case Tell():
                    self._engine.send(action.order, self)
                case SetInputFormat():
                    self._senses.set_format(action.format)
                case SetDistance():
                    self._senses.set_distance(action.distance)
                case JudgePause():
                    self._judge_pause(action)
                case ResetVad():
                    self._senses.skip()
                case Hang():
                    self._hang(action)

    def _judge_pause(self, question: JudgePause) -> None:
        """Ask in a thread how final a pause sounds: that takes 10 to 100 ms."""
        clip = self._senses.clip(question.start, question.stop)
        future = self._loop.run_in_executor(None, self._senses.finality, clip)
        future.add_done_callback(lambda done: self._pause_judged(question.number, done))

    def _pause_judged(self, number: int, done: asyncio.Future[float]) -> None:
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
            self._timer = self._loop.call_later(due - self.now(), self._handle_timer)

    def _handle_timer(self) -> None:
        self._due = self._timer = None
        with self._contained():
            self._session.handle_timer(self.now())
            self._carry_out()

    def _log_turn(self, response: wire.Response, timeline: Timeline | None) -> None:
        tokens = response.usage.output_tokens if response.usage else 0
        vendor = response.assistant or {}
        early = ", ".join(f"{k} {v}" for k, v in vendor.get("early", {}).items() if v)
        self.log.info("%s: %d tokens; %s; %s", response.status, tokens, timeline, early)


def _refusal(error: EventRefused | MediaError, event_id: str | None) -> wire.Error:
    param = error.param if isinstance(error, EventRefused) else None
    return wire.error(error.code, str(error), param=param, event_id=event_id)


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"
