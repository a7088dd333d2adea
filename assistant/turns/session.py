"""
Turn-taking for one session, without I/O.

Tell a Session what happened, with the time it happened at; then carry out the actions it
asks for, in order:

    session.receive_probability(0.93, now)
    for action in session.actions():
        ...

Samples and pixels never come here: sound is a range of sample indices at 16 kHz, a camera
frame is an id, and their bytes are asked of ``Media`` when a turn is committed. Times are
session seconds. An event that cannot be carried out raises ``EventRefused`` (or
``MediaError``) and changes nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import UNSET

from assistant.config import Config
from assistant.turns import input_items, settings as session_settings
from assistant.turns.actions import Action, Hang, ResetVad, Send, SetInputFormat
from assistant.turns.answers import Answers
from assistant.turns.conversation import Conversation, Item
from assistant.turns.endpointing import HardEnd, SoftEnd, SpeechResumed, SpeechStarted
from assistant.turns.input_buffer import InputBuffer, milliseconds
from assistant.turns.listener import Listener
from assistant.turns.load import Load
from assistant.turns.media import Media
from assistant.turns.request import Request, ask
from assistant.turns.settings import Settings
from assistant.turns.tally import Tally
from assistant.turns.turn import Turn
from assistant.turns.utterance import Utterance
from assistant.wire import client_events as client, link, refusals, server_events as wire
from assistant.wire.items import Item as WireItem, ItemReference
from assistant.wire.refusals import EventRefused


class Session:
    """Who has the floor, and what the client and the engine must be told about it."""

    def __init__(
        self,
        *,
        config: Config,
        media: Media,
        model: str,
        sequence_numbers: Iterator[int],
        load: Load,
        new_id: Callable[[str], str],
        expires_at: int,
        hangover_ms: int,
    ) -> None:
        self.settings = session_settings.initial(config, model, hangover_ms)
        self.id = new_id("sess")
        self._config = config
        self._media = media
        self._new_id = new_id
        self._expires_at = expires_at  # unix seconds, only to be told to the client
        self._actions: list[Action] = []
        self._conversation = Conversation(
            config.limits.conversation_items, config.limits.conversation_bytes
        )
        self._answers = Answers(
            config=config,
            conversation=self._conversation,
            sequence_numbers=sequence_numbers,
            load=load,
            new_id=new_id,
            emit=self._actions.append,
        )
        self._responder = self._answers.responder
        self._buffer = InputBuffer(
            self.settings.effective_endpointing, config.limits.audio_buffer_s
        )
        self._listener = Listener(self._buffer, media, config.pairing)
        self._turn = Turn()  # that the next response will answer

    # --- outputs ------------------------------------------------------------------------

    def actions(self) -> list[Action]:
        """Return what must be done now, in order, and forget it."""
        actions = self._actions[:]
        self._actions.clear()
        return actions

    def deadline(self) -> float:
        """Return when ``handle_timer`` wants to be called, if nothing happens before."""
        expiry = self._config.server.session_max_s
        waiting = self._answers.deadline()
        return expiry if waiting is None else min(expiry, waiting)

    @property
    def is_answering(self) -> bool:
        return self._answers.is_answering

    @property
    def total(self) -> Tally:
        """What the engine computed for this session."""
        return self._responder.total

    @property
    def detects_turns(self) -> bool:
        """True when speech probabilities are wanted."""
        return self.settings.turn_detection is not None

    @property
    def is_hearing(self) -> bool:
        return self._listener.utterance is not None

    def to_wire(self) -> dict[str, Any]:
        return self.settings.to_wire(self.id, self._expires_at)

    # --- what happened ------------------------------------------------------------------

    def open(self) -> None:
        """The connection is there."""
        self._send(wire.SessionCreated(session=self.to_wire()))

    def close(self) -> None:
        """The connection is gone."""
        self._answers.close()

    def handle_timer(self, now: float) -> None:
        if now >= self._config.server.session_max_s:
            minutes = self._config.server.session_max_s / 60
            message = f"Your session hit the maximum duration of {minutes:g} minutes."
            self._send(wire.error("session_expired", message))
            self._actions.append(Hang(1000, "session expired"))
            return
        self._answers.handle_timer(now)
        self._go_on(now)

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        """The engine is ready, or (None) gone with all it held."""
        self._answers.receive_engine(ready, now)
        self._go_on(now)

    def receive_report(self, report: link.Report, now: float) -> None:
        if self._answers.receive_report(report, now):
            self._go_on(now)

    def check_audio_room(self, num_samples: int) -> None:
        """Raise EventRefused when a buffer that only the client empties would overflow."""
        if not self.detects_turns:
            self._buffer.check_room(num_samples)

    def receive_audio(self, num_samples: int, now: float) -> None:
        """That many samples were put into the ring."""
        self._buffer.receive_audio(num_samples, now)
        if self._listener.hear_windows():
            self._go_on(now)
        if num_samples and not self.detects_turns and self._listener.utterance is None:
            self._listener.begin(self._new_id("item"), self._buffer.start)
            self._go_on(now)

    def receive_probability(self, probability: float, now: float) -> None:
        """Take the speech probability of the next 512-sample window."""
        for boundary in self._buffer.receive_probability(probability):
            if isinstance(boundary, SpeechStarted):
                self._speech_started(boundary, now)
            elif isinstance(boundary, SoftEnd):
                may_answer = self._responder.may_speculate
                self._listener.pause(boundary, now, may_be_answered=may_answer)
                self._go_on(now)
            elif isinstance(boundary, SpeechResumed):
                self._listener.resume()
                self._go_on(now)
            elif isinstance(boundary, HardEnd):
                self._speech_ended(boundary, now)
        if self._responder.is_speculating and not self._responder.may_speculate:
            self._listener.take_back()
            self._go_on(now)

    def receive_event(self, event: client.AnyClientEvent, now: float) -> None:
        """Carry out a client event. Sound comes by ``receive_audio`` instead."""
        match event:
            case client.SessionUpdate():
                self.configure(event.session)
                self._send(wire.SessionUpdated(session=self.to_wire()))
            case client.InputAudioCommit():
                item_id = self._buffer.utterance_id or self._new_id("item")
                self._commit(self._listener.end_by_client(item_id), now)
                self._forget_speech()
            case client.InputAudioClear():
                self._forget_speech()
                self._buffer.clear()
                self._send(wire.Cleared())
            case client.ItemCreate():
                self.add_item(self.read_item(event.item), event, now)
                return
            case client.ItemRetrieve():
                item = self._conversation.get(event.item_id)
                self._send(wire.ItemRetrieved(item=item.to_wire()))
                return
            case client.ItemDelete():
                self._conversation.delete(event.item_id)
                self._answers.forget(event.item_id)
                self._send(wire.ItemDeleted(item_id=event.item_id))
            case client.ItemTruncate():
                self._conversation.get(event.item_id, "truncate")
                raise refusals.not_truncatable()
            case client.ResponseCreate():
                self._create_response(event, now)
            case client.ResponseCancel():
                self._answers.cancel(event.response_id or None, now)
            case client.InputImageAppend():
                self._listener.add_frame(event.image, event.timestamp_ms, now)
                if not self._frames_matter():
                    return
            case client.InputImageClear():
                self._media.clear_frames()
                self._send(wire.ImageBufferCleared())
                if not self._frames_matter():
                    return
            case client.OutputAudioClear() | client.InputAudioAppend():
                return  # there is no voice to silence; sound comes by receive_audio
        self._go_on(now)

    # --- speech -------------------------------------------------------------------------

    def _speech_started(self, boundary: SpeechStarted, now: float) -> None:
        item_id, start = self._buffer.open_utterance(boundary.at, self._new_id)
        self._send(wire.SpeechStarted(audio_start_ms=milliseconds(start), item_id=item_id))
        if self.settings.interrupts:
            self._answers.interrupt(now, is_answered=self.settings.answers_turns)
        self._listener.begin(item_id, start)
        self._go_on(now)

    def _speech_ended(self, boundary: HardEnd, now: float) -> None:
        item_id = self._buffer.utterance_id
        assert item_id is not None, "speech ended before it started"
        end_ms = milliseconds(boundary.at)
        self._send(wire.SpeechStopped(audio_end_ms=end_ms, item_id=item_id))
        self._commit(self._listener.end(boundary, now), now)
        if self.settings.answers_turns:
            self._answers.queue(self._request(self.settings))
        self._go_on(now)

    def _commit(self, utterance: Utterance, now: float) -> None:
        """Make what was said an item of the conversation."""
        item = utterance.item
        try:
            previous = self._conversation.insert(item)
        except EventRefused:
            self._go_on(now)
            raise
        self._turn = utterance.turn
        self._turn.timeline.committed = now
        self._send(wire.Committed(previous_item_id=previous, item_id=item.id))
        self._announce(item, previous)
        self._answers.transcribe(item, self.settings, now)

    def _forget_speech(self) -> None:
        self._listener.forget()
        self._answers.forget_speech()
        self._buffer.forget_speech()
        self._actions.append(ResetVad())

    def _frames_matter(self) -> bool:
        """Return whether the frames that came or went change what the engine may do."""
        if self._listener.utterance is not None:
            return self._listener.frames_changed()
        return self._responder.adapter != "vision"

    def _go_on(self, now: float) -> None:
        """Start what waits; else let the engine do what the next answer will need."""
        self._answers.start_queued(now)
        if self._responder.active_id is not None:
            return
        if not self.settings.reads_ahead:
            return
        answers = self.settings.answers_turns
        outlook = self._listener.outlook(self._conversation.items, now, answers=answers)
        self._responder.look_ahead(ask(self.settings, Turn()), outlook, now)

    # --- items, responses, settings -----------------------------------------------------

    def read_item(self, item: WireItem) -> Item:
        """Read and check a client's item. Changes nothing, so it may run in a thread."""
        return input_items.read(
            item,
            new_id=self._new_id,
            media=self._media,
            form=self.settings.input_format,
            config=self._config,
        )

    def add_item(self, item: Item, event: client.ItemCreate, now: float) -> None:
        """Put an item that was read from ``event`` into the conversation."""
        previous = self._conversation.insert(item, event.previous_item_id or None)
        self._announce(item, previous)
        if self._listener.utterance is not None or item.num_images():
            self._go_on(now)  # else it waits for its response, which may give it a frame

    def _create_response(self, event: client.ResponseCreate, now: float) -> None:
        params = event.response or client.ResponseParams()
        is_aside = params.conversation == "none"
        if not is_aside:
            self._answers.check_free()
        settings = session_settings.for_response(self.settings, params)
        context = None
        if params.input not in (UNSET, None):
            context = [self._context_item(entry) for entry in params.input or []]
        metadata = params.metadata or None
        if is_aside:
            context = self._conversation.items[:] if context is None else context
            self._answers.answer_aside(ask(settings, Turn(), metadata, context), now)
            return
        if context is None:
            self._listener.pair_words(self._turn, self._conversation.items, now)
        request = self._request(settings, metadata, context, is_asked=True)
        request.is_plain = params == client.ResponseParams()
        self._answers.queue(request)

    def _request(
        self,
        settings: Settings,
        metadata: dict[str, str] | None = None,
        context: list[Item] | None = None,
        *,
        is_asked: bool = False,
    ) -> Request:
        """Freeze what the next response is asked with; its turn is used up by that."""
        turn, self._turn = self._turn, Turn()
        request = ask(settings, turn, metadata, context, is_asked=is_asked)
        return request if context else request.for_task(self._conversation.items)

    def _context_item(self, entry: WireItem | ItemReference) -> Item:
        if isinstance(entry, ItemReference):
            return self._conversation.get(entry.id)
        return self.read_item(entry)

    def configure(self, patch: client.SessionPatch) -> None:
        """Change the settings without telling the client; raises EventRefused."""
        before = self.settings
        self.settings = session_settings.updated(before, patch)
        self._listener.num_frames = self.settings.frames_per_turn
        if self.settings.input_format != before.input_format:
            self._actions.append(SetInputFormat(self.settings.input_format))
        if (self.settings.turn_detection is None) != (before.turn_detection is None):
            self._forget_speech()
        self._buffer.configure(self.settings.effective_endpointing)

    def _announce(self, item: Item, previous: str | None) -> None:
        self._send(wire.ItemAdded(previous_item_id=previous, item=item.to_wire()))
        self._send(wire.ItemDone(previous_item_id=previous, item=item.to_wire()))

    def _send(self, event: wire.ServerEvent) -> None:
        self._actions.append(Send(event))
