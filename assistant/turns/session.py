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

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from assistant.config import Config
from assistant.turns import endpointing, input_items, settings as session_settings
from assistant.turns.actions import Action, Hang, ResetVad, Send, to_follow
from assistant.turns.answers import Answers
from assistant.turns.asking import Asking
from assistant.turns.barge_in import BargeIn
from assistant.turns.conversation import Conversation, Item
from assistant.turns.floor import Floor
from assistant.turns.input_buffer import InputBuffer, milliseconds
from assistant.turns.listener import Listener
from assistant.turns.load import Load
from assistant.turns.media import Media
from assistant.turns.utterance import Utterance
from assistant.wire import client_events as client, link, server_events as wire
from assistant.wire.items import Item as WireItem
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
        barge_in = BargeIn(config.barge_in)
        self._answers = Answers(
            config=config,
            conversation=self._conversation,
            sequence_numbers=sequence_numbers,
            load=load,
            new_id=new_id,
            emit=barge_in.watching(self._actions.append),
        )
        self._responder = self._answers.responder
        self._buffer = InputBuffer(
            self.settings.effective_endpointing, config.limits.audio_buffer_s
        )
        self._listener = Listener(self._buffer, media, config.pairing)
        self._asking = Asking(
            self._conversation, self._listener, self._answers, self.read_item
        )
        self._floor = Floor(
            self.settings, config, barge_in, self._answers, self._buffer, media
        )

    # --- outputs ------------------------------------------------------------------------

    def actions(self) -> list[Action]:
        """Return what must be done now, in order, and forget it."""
        actions = self._actions[:]
        self._actions.clear()
        return actions

    def deadline(self) -> float:
        """Return when ``handle_timer`` wants to be called, if nothing happens before."""
        expiry = self._config.server.session_max_s
        due = (expiry, self._answers.deadline(), self._floor.deadline())
        return min(moment for moment in due if moment is not None)

    @property
    def is_answering(self) -> bool:
        return self._answers.is_answering

    @property
    def summary(self) -> str:
        """What the engine computed for this session; empty when that was nothing."""
        return self._answers.summary

    @property
    def detects_turns(self) -> bool:
        """True when speech probabilities are wanted."""
        return self.settings.turn_detection is not None

    @property
    def is_looking(self) -> bool:
        """True when pictures are wanted: of who speaks, or by the watch."""
        return self._listener.is_hearing or self._answers.watching.is_on

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
            self._send(wire.session_expired(self._config.server.session_max_s))
            self._actions.append(Hang(1000, "session expired"))
            return
        self._answers.handle_timer(now)
        self._heed(self._floor.settled(now), now)
        if self._floor.is_idle(now):
            self._speak_up(now)
        self._go_on(now)

    def receive_engine(self, ready: link.Ready | None, now: float) -> None:
        """The engine is ready, or (None) gone with all it held."""
        self._answers.receive_engine(ready, now)
        self._go_on(now)

    def receive_report(self, report: link.Report, now: float) -> None:
        self._floor.pass_time(now)
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
        self._heed(self._floor.receive_probability(probability, now), now)
        if self._responder.is_speculating and not self._responder.may_speculate:
            self._listener.take_back()
            self._go_on(now)

    def _heed(self, boundaries: Iterable[endpointing.Boundary], now: float) -> None:
        for boundary in boundaries:
            if isinstance(boundary, endpointing.SpeechStarted):
                self._speech_started(boundary, now)
            elif isinstance(boundary, endpointing.SoftEnd):
                may_answer = self._floor.is_turn and self._responder.may_speculate
                self._listener.pause(boundary, now, may_be_answered=may_answer)
                self._actions += self._floor.question(self._buffer.start)
                self._floor.speech_paused(now)
                self._go_on(now)
            elif isinstance(boundary, endpointing.SpeechResumed):
                self._listener.resume()
                self._go_on(now)
            elif isinstance(boundary, endpointing.HardEnd):
                self._speech_ended(boundary, now)

    def receive_finality(self, number: int, finality: float) -> None:
        """Take how final a pause sounds, in [0, 1], in answer to ``JudgePause``."""
        self._floor.receive_finality(number, finality)

    def receive_event(self, event: client.AnyClientEvent, now: float) -> None:
        """Carry out a client event. Sound comes by ``receive_audio`` instead."""
        match event:
            case client.SessionUpdate():
                self.configure(event.session, now)
                self._send(wire.SessionUpdated(session=self.to_wire()))
            case client.InputAudioCommit():
                item_id = self._buffer.utterance_id or self._new_id("item")
                self._commit(self._listener.end_by_client(item_id), now)
                self._forget_speech(now)
            case client.InputAudioClear():
                self._forget_speech(now)
                self._buffer.clear()
                self._send(wire.Cleared())
            case client.ItemCreate():
                self.add_item(self.read_item(event.item), event, now)
                return
            case client.ItemRetrieve() | client.ItemDelete() | client.ItemTruncate():
                self._send(self._conversation.receive_event(event))
                if not isinstance(event, client.ItemDelete):
                    return
                self._answers.forget(event.item_id)
            case client.ResponseCreate():
                self._asking.by_client(event, self.settings, now)
            case client.ResponseCancel():
                self._answers.cancel(event.response_id or None, now)
            case client.InputImageAppend():
                self._listener.add_frame(event.image, event.timestamp_ms, now)
                self._watch(now)
                if not self._frames_matter():
                    return
            case client.InputImageClear():
                self._media.clear_frames()
                self._send(wire.ImageBufferCleared())
                if not self._frames_matter():
                    return
            case client.OutputAudioClear():
                self._floor.hushed()  # its own voice: we have none
        self._go_on(now)

    # --- speech -------------------------------------------------------------------------

    def _speech_started(self, boundary: endpointing.SpeechStarted, now: float) -> None:
        item_id, start = self._buffer.open_utterance(boundary.at, self._new_id)
        self._send(wire.SpeechStarted(audio_start_ms=milliseconds(start), item_id=item_id))
        self._floor.speech_started(now)
        self._listener.begin(item_id, start)
        self._go_on(now)

    def _speech_ended(self, boundary: endpointing.HardEnd, now: float) -> None:
        item_id = self._buffer.utterance_id
        assert item_id is not None, "speech ended before it started"
        end_ms = milliseconds(boundary.at)
        self._send(wire.SpeechStopped(audio_end_ms=end_ms, item_id=item_id))
        if self._floor.speech_ended(now):
            self._commit(self._listener.end(boundary, now), now)
            self._answer_turn()
        else:
            self._listener.disregard(boundary)
        self._go_on(now)

    def _answer_turn(self) -> None:
        if self.settings.answers_turns:
            self._asking.by_turn(self.settings)
        else:
            self._answers.leave_to_client()

    def _speak_up(self, now: float) -> None:
        """Nobody has said anything for as long as the client allows."""
        self._floor.speak_up()
        span = self._buffer.recent()
        if span is None:
            return  # there is no sound to answer, either
        item_id = self._new_id("item")
        start_ms, end_ms = map(milliseconds, span)
        self._send(wire.timeout_triggered(start_ms, end_ms, item_id))
        self._commit(self._listener.end_by_timeout(item_id, *span), now)
        self._answer_turn()

    def _commit(self, utterance: Utterance, now: float) -> None:
        """Make what was said an item of the conversation."""
        item = utterance.item
        try:
            previous = self._conversation.insert(item)
        except EventRefused:
            self._answers.leave_to_client()
            self._go_on(now)
            raise
        self._asking.turn = utterance.turn
        utterance.turn.timeline.committed = now
        self._send(wire.Committed(previous_item_id=previous, item_id=item.id))
        self._announce(item, previous)
        self._answers.transcribe(item, self.settings, now)

    def _forget_speech(self, now: float) -> None:
        self._listener.forget()
        self._answers.leave_to_client()
        self._buffer.forget_speech()
        self._floor.forget_speech(now)
        self._actions.append(ResetVad())

    def _frames_matter(self) -> bool:
        """Return whether the frames that came or went change what the engine may do."""
        if self._listener.utterance is not None:
            return self._listener.frames_changed()
        return self._responder.adapter != "vision"

    def _go_on(self, now: float) -> None:
        """Start what waits; else let the engine do what the next answer will need."""
        self._answers.start_queued(now)
        self._floor.look(now)
        self._watch(now)
        if self._responder.active_id is None and self.settings.reads_ahead:
            self._asking.look_ahead(self.settings, now)

    def _watch(self, now: float) -> None:
        """Speak up about what the camera shows, when there is room for it."""
        watching, is_hearing = self._answers.watching, self._listener.is_hearing
        while watching.go_on(now, self._media, self._floor.room(now, is_hearing)):
            self._floor.spoke_up(now)

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

    def configure(self, patch: client.SessionPatch, now: float = 0.0) -> None:
        """Change the settings without telling the client; raises EventRefused."""
        before = self.settings
        self.settings = session_settings.updated(before, patch)
        self._listener.pairing = self.settings.extensions.pairing
        self._answers.watching.configure(self.settings)
        self._actions += to_follow(before, self.settings)
        if (self.settings.turn_detection is None) != (before.turn_detection is None):
            self._forget_speech(now)
        self._floor.configure(self.settings)
        self._buffer.configure(self.settings.effective_endpointing)

    def _announce(self, item: Item, previous: str | None) -> None:
        self._send(wire.ItemAdded(previous_item_id=previous, item=item.to_wire()))
        self._send(wire.ItemDone(previous_item_id=previous, item=item.to_wire()))

    def _send(self, event: wire.ServerEvent) -> None:
        self._actions.append(Send(event))
