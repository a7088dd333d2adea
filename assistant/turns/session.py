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
from assistant.turns import input_items, settings as session_settings, tasks
from assistant.turns.actions import Action, Hang, ResetVad, Send, SetInputFormat, Tell
from assistant.turns.clock import FrameClock
from assistant.turns.conversation import Audio, Conversation, Item, Text
from assistant.turns.endpointing import HardEnd, SoftEnd, SpeechResumed, SpeechStarted
from assistant.turns.input_buffer import InputBuffer, milliseconds
from assistant.turns.media import Media
from assistant.turns.mirror import Mirror
from assistant.turns.responder import Request, Responder
from assistant.turns.turn import Turn
from assistant.wire import client_events as client, link, refusals, server_events as wire
from assistant.wire.items import Item as WireItem, ItemReference


class Session:
    """Who has the floor, and what the client and the engine must be told about it."""

    def __init__(
        self,
        *,
        config: Config,
        media: Media,
        model: str,
        sequence_numbers: Iterator[int],
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
        self._mirror = Mirror(sequence_numbers)
        self._responder = Responder(
            config=config,
            conversation=self._conversation,
            conversation_id=new_id("conv"),
            mirror=self._mirror,
            new_id=new_id,
            emit=self._actions.append,
        )
        self._buffer = InputBuffer(
            self.settings.effective_endpointing, config.limits.audio_buffer_s
        )
        self._frame_clock = FrameClock()
        self._turn = Turn()
        self._queued: Request | None = None  # an answer that waits for the active one

    # --- outputs ------------------------------------------------------------------------

    def actions(self) -> list[Action]:
        """Return what must be done now, in order, and forget it."""
        actions = self._actions[:]
        self._actions.clear()
        return actions

    def deadline(self) -> float:
        """Return when ``handle_timer`` wants to be called, if nothing happens before."""
        expiry = self._config.server.session_max_s
        waiting = self._responder.deadline()
        return expiry if waiting is None else min(expiry, waiting)

    @property
    def is_answering(self) -> bool:
        return self._responder.active_id is not None

    @property
    def detects_turns(self) -> bool:
        """True when speech probabilities are wanted."""
        return self.settings.turn_detection is not None

    # --- what happened ------------------------------------------------------------------

    def open(self) -> None:
        """The connection is there."""
        self._send(wire.SessionCreated(session=self._session_object()))

    def close(self) -> None:
        """The connection is gone."""
        for order in self._mirror.close():
            self._actions.append(Tell(order))

    def handle_timer(self, now: float) -> None:
        if now >= self._config.server.session_max_s:
            self._expire()
            return
        self._responder.handle_timer(now)
        self._start_queued(now)

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        """The engine is ready, or (None) gone with all it held."""
        self._responder.receive_engine(ready, now)
        self._start_queued(now)

    def receive_report(self, report: link.Report, now: float) -> None:
        self._responder.receive_report(report, now)
        self._start_queued(now)

    def check_audio_room(self, num_samples: int) -> None:
        """Raise EventRefused when a buffer that only the client empties would overflow."""
        if not self.detects_turns:
            self._buffer.check_room(num_samples)

    def receive_audio(self, num_samples: int, now: float) -> None:
        """That many samples were put into the ring."""
        self._buffer.receive_audio(num_samples, now)

    def receive_probability(self, probability: float, now: float) -> None:
        """Take the speech probability of the next 512-sample window."""
        for boundary in self._buffer.receive_probability(probability):
            if isinstance(boundary, SpeechStarted):
                self._speech_started(boundary, now)
            elif isinstance(boundary, SoftEnd):
                self._turn.timeline.soft_end = now
            elif isinstance(boundary, SpeechResumed):
                self._turn.timeline.soft_end = None
            elif isinstance(boundary, HardEnd):
                self._speech_ended(boundary, now)

    def receive_event(self, event: client.AnyClientEvent, now: float) -> None:
        """Carry out a client event. Sound comes by ``receive_audio`` instead."""
        match event:
            case client.SessionUpdate():
                self.configure(event.session)
                self._send(wire.SessionUpdated(session=self._session_object()))
            case client.InputAudioCommit():
                self._commit_by_client(now)
            case client.InputAudioClear():
                self._buffer.clear()
                self._actions.append(ResetVad())
                self._send(wire.Cleared())
            case client.ItemCreate():
                self.add_item(self.read_item(event), event)
            case client.ItemRetrieve():
                item = self._conversation.get(event.item_id)
                self._send(wire.ItemRetrieved(item=item.to_wire()))
            case client.ItemDelete():
                self._conversation.delete(event.item_id)
                self._send(wire.ItemDeleted(item_id=event.item_id))
            case client.ItemTruncate():
                self._conversation.get(event.item_id, "truncate")
                raise refusals.not_truncatable()
            case client.ResponseCreate():
                self._create_response(event, now)
            case client.ResponseCancel():
                active = self._responder.active_id
                if active is None or (event.response_id or active) != active:
                    raise refusals.no_active_response()
                self._responder.cancel("client_cancelled", now)
                self._start_queued(now)
            case client.InputImageAppend():
                timestamp_ms = input_items.checked_timestamp(event.timestamp_ms)
                captured_s = self._frame_clock.captured(timestamp_ms, now)
                self._media.add_frame(event.image, captured_s, timestamp_ms)
            case client.InputImageClear():
                self._media.clear_frames()
                self._send(wire.ImageBufferCleared())
            case client.OutputAudioClear() | client.InputAudioAppend():
                pass  # there is no voice to silence; sound comes by receive_audio

    # --- speech -------------------------------------------------------------------------

    def _speech_started(self, boundary: SpeechStarted, now: float) -> None:
        item_id, start = self._buffer.open_utterance(boundary.at, self._new_id)
        self._turn = Turn()
        self._send(wire.SpeechStarted(audio_start_ms=milliseconds(start), item_id=item_id))
        detection = self.settings.turn_detection
        if detection is not None and detection.interrupt_response:
            self._queued = None
            if self._responder.active_id is not None:
                self._responder.cancel("turn_detected", now)

    def _speech_ended(self, boundary: HardEnd, now: float) -> None:
        item_id = self._buffer.utterance_id
        assert item_id is not None, "speech ended before it started"
        timeline = self._turn.timeline
        timeline.speech_end = self._buffer.seconds(boundary.at)
        timeline.hard_end = now
        end_ms = milliseconds(boundary.at)
        self._send(wire.SpeechStopped(audio_end_ms=end_ms, item_id=item_id))
        start, stop = self._buffer.utterance(boundary)
        self._commit(item_id, start, stop, boundary.at, now)
        detection = self.settings.turn_detection
        if detection is not None and detection.create_response:
            self._queued = self._request()
            self._start_queued(now)

    def _commit_by_client(self, now: float) -> None:
        start, stop = self._buffer.uncommitted()
        item_id = self._buffer.utterance_id or self._new_id("item")
        self._turn = Turn()
        self._turn.timeline.speech_end = self._buffer.seconds(stop)
        self._commit(item_id, start, stop, stop, now)
        self._forget_speech()

    def _commit(
        self, item_id: str, start: int, stop: int, speech_end: int, now: float
    ) -> None:
        """Make a range of sound a user item, with the frames of its time."""
        item = Item(id=item_id, role="user", content=[Audio(self._media.clip(start, stop))])
        previous = self._conversation.insert(item)
        self._pair(item, *self._buffer.times(start, speech_end))
        self._buffer.committed(stop)
        self._turn.timeline.committed = now
        self._send(wire.Committed(previous_item_id=previous, item_id=item_id))
        self._announce(item, previous)

    def _forget_speech(self) -> None:
        self._buffer.forget_speech()
        self._actions.append(ResetVad())

    def _pair(self, item: Item, start_s: float, end_s: float) -> None:
        self._turn.pair(
            item,
            self._media,
            start_s=start_s,
            end_s=end_s,
            config=self._config.pairing,
            frames_per_turn=self.settings.frames_per_turn,
        )

    # --- items, responses, settings -----------------------------------------------------

    def read_item(self, event: client.ItemCreate) -> Item:
        """Read and check a client's item. Changes nothing, so it may run in a thread."""
        return self._read(event.item)

    def add_item(self, item: Item, event: client.ItemCreate) -> None:
        """Put an item that was read from ``event`` into the conversation."""
        previous = self._conversation.insert(item, event.previous_item_id or None)
        self._announce(item, previous)

    def _create_response(self, event: client.ResponseCreate, now: float) -> None:
        active = self._responder.active_id
        if active is not None:
            raise refusals.active_response(active)
        self._queued = self._request(event.response or client.ResponseParams(), now)
        self._start_queued(now)

    def _request(
        self, params: client.ResponseParams | None = None, now: float | None = None
    ) -> Request:
        """Freeze what the next response is asked with; its turn is used up by that."""
        params = params or client.ResponseParams()
        settings = session_settings.for_response(self.settings, params)
        context = None
        if params.input not in (UNSET, None):
            context = [self._context_item(entry) for entry in params.input or []]
        elif now is not None:
            self._pair_words(now)
        read = self._conversation.items if context is None else context
        alone = tasks.context(settings.task, read)
        turn, self._turn = self._turn, Turn()
        return Request(
            instructions="" if alone else settings.instructions,
            max_output_tokens=settings.max_output_tokens,
            truncation=settings.truncation,
            metadata=params.metadata or None,
            items=alone or context,
            task=settings.task if alone else tasks.ASSISTANT,
            frames=turn.frames,
            timeline=turn.timeline,
        )

    def _context_item(self, entry: WireItem | ItemReference) -> Item:
        if isinstance(entry, ItemReference):
            return self._conversation.get(entry.id)
        return self._read(entry)

    def _read(self, entry: WireItem) -> Item:
        return input_items.read(
            entry,
            new_id=self._new_id,
            media=self._media,
            form=self.settings.input_format,
            config=self._config,
        )

    def _pair_words(self, now: float) -> None:
        """A typed question with the camera on is about what the camera shows now."""
        last = self._conversation.items[-1] if self._conversation.items else None
        if last is None or last.role != "user" or last.num_images() or last.call:
            return
        if all(isinstance(part, Text) for part in last.content):
            self._pair(last, now, now)
            last.version += bool(last.frames)

    def _start_queued(self, now: float) -> None:
        if self._queued is not None and self._responder.active_id is None:
            request, self._queued = self._queued, None
            self._responder.start(request, now)

    def configure(self, patch: client.SessionPatch) -> None:
        """Change the settings without telling the client; raises EventRefused."""
        before = self.settings
        self.settings = session_settings.updated(before, patch)
        if self.settings.input_format != before.input_format:
            self._actions.append(SetInputFormat(self.settings.input_format))
        if (self.settings.turn_detection is None) != (before.turn_detection is None):
            self._forget_speech()
        self._buffer.configure(self.settings.effective_endpointing)

    def _expire(self) -> None:
        minutes = self._config.server.session_max_s / 60
        message = f"Your session hit the maximum duration of {minutes:g} minutes."
        self._send(wire.error("session_expired", message))
        self._actions.append(Hang(1000, "session expired"))

    def _announce(self, item: Item, previous: str | None) -> None:
        self._send(wire.ItemAdded(previous_item_id=previous, item=item.to_wire()))
        self._send(wire.ItemDone(previous_item_id=previous, item=item.to_wire()))

    def _session_object(self) -> dict[str, Any]:
        return self.settings.to_wire(self.id, self._expires_at)

    def _send(self, event: wire.ServerEvent) -> None:
        self._actions.append(Send(event))
