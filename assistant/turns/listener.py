"""
What is heard and not yet said to the end: the input buffer and the utterance open in it.

The session tells what the boundaries mean; here it is known which sound and which frames
belong to the item that is in the making, at the beginning, at a pause and at the end.
"""

from collections.abc import Sequence

from msgspec import UnsetType

from assistant.config import PairingConfig
from assistant.turns.clock import FrameClock
from assistant.turns.conversation import Item
from assistant.turns.endpointing import HardEnd, SoftEnd
from assistant.turns.input_buffer import InputBuffer
from assistant.turns.input_items import checked_timestamp
from assistant.turns.media import Media
from assistant.turns.plan import Outlook
from assistant.turns.turn import Turn, shows_something
from assistant.turns.utterance import Utterance
from assistant.wire.link import Adapter


class Listener:
    """At most one utterance, and the choice of its sound and frames."""

    def __init__(self, buffer: InputBuffer, media: Media, pairing: PairingConfig) -> None:
        self.utterance: Utterance | None = None
        self.pairing = pairing
        """Which frames a turn gets; a session may change it."""
        self._frame_clock = FrameClock()
        self._buffer = buffer
        self._media = media

    @property
    def is_hearing(self) -> bool:
        """True while an utterance is open."""
        return self.utterance is not None

    def begin(self, item_id: str, start: int) -> None:
        """The user began to speak; frames are chosen as of now."""
        item = Item(id=item_id, role="user", content=[])
        self.utterance = Utterance(item, start)
        self._see(self.utterance, self._buffer.heard)

    def hear_windows(self) -> bool:
        """Take what is said for good of a long utterance; return whether there is more."""
        utterance = self.utterance
        return utterance is not None and utterance.hear_windows(
            self._media, self._buffer.heard
        )

    def pause(self, boundary: SoftEnd, now: float, *, may_be_answered: bool) -> None:
        """The user may have finished; then what is cut here is what will be committed."""
        utterance = self._open()
        utterance.turn.timeline.soft_end = now
        utterance.paused_at = boundary.at
        self._see(utterance, boundary.at)
        if may_be_answered:
            utterance.hear(self._media, *self._buffer.utterance(boundary))
            utterance.may_be_answered = True

    def resume(self) -> None:
        """The user had not finished."""
        utterance = self._open()
        utterance.turn.timeline.soft_end = None
        utterance.paused_at = None
        utterance.take_back()
        self._see(utterance, self._buffer.heard)

    def take_back(self) -> None:
        """Let nothing be answered in this pause."""
        if self.utterance is not None:
            self.utterance.take_back()

    def end(self, boundary: HardEnd, now: float) -> Utterance:
        """The user has finished; return what was said."""
        utterance = self._open()
        utterance.turn.timeline.hard_end = now
        start, stop = self._buffer.utterance(boundary)
        return self._cut(utterance, start, stop, boundary.at)

    def end_by_client(self, item_id: str) -> Utterance:
        """
        The client says that the turn is over; return everything that was not committed.

        Raises:
            EventRefused: It is shorter than the protocol allows.
        """
        start, stop = self._buffer.uncommitted()
        item = Item(id=item_id, role="user", content=[])
        utterance = self.utterance or Utterance(item, start)
        return self._cut(utterance, start, stop, stop)

    def end_by_timeout(self, item_id: str, start: int, stop: int) -> Utterance:
        """Nobody said anything: return the quiet sound of that range."""
        utterance = Utterance(Item(id=item_id, role="user", content=[]), start)
        return self._cut(utterance, start, stop, stop)

    def disregard(self, boundary: HardEnd) -> None:
        """What was said is not meant as a turn: nobody is to hear of it again."""
        _, stop = self._buffer.utterance(boundary)
        self.utterance = None
        self._buffer.committed(stop)

    def forget(self) -> None:
        """What was being said is not to become an item."""
        self.utterance = None

    def outlook(self, items: Sequence[Item], now: float, *, answers: bool) -> Outlook:
        """Return what is to be expected; ``answers``: the end of a turn is answered."""
        utterance = self.utterance
        if utterance is None:
            sees = shows_something(self._media, now, self.pairing)
            at_least: Adapter = "vision" if sees else "none"
            return Outlook(items=items, at_least=at_least, may_trim=True)
        return Outlook(
            items=[*items, utterance.item],
            at_least="speech",
            is_pause=answers and utterance.may_be_answered,
        )

    def pair_words(self, turn: Turn, items: Sequence[Item], now: float) -> None:
        """Give a typed question, which is the last item, what the camera shows now."""
        turn.pair_words(items, self._media, now, self.pairing)

    def add_frame(
        self, data: bytes, timestamp_ms: float | UnsetType | None, now: float
    ) -> None:
        """
        Keep a frame of the camera.

        Raises:
            EventRefused: The timestamp is no time.
            MediaError: The picture cannot be used.
        """
        checked_ms = checked_timestamp(timestamp_ms)
        captured_s = self._frame_clock.captured(checked_ms, now)
        self._media.add_frame(data, captured_s, checked_ms)

    def frames_changed(self) -> bool:
        """Choose again; return whether that makes a difference to the open utterance."""
        utterance = self.utterance
        if utterance is None:
            return False
        if utterance.paused_at is not None:
            return self._see(utterance, utterance.paused_at)
        # Several frames are spread over the whole utterance: until it pauses, each new
        # one would move the others.
        is_single = self.pairing.frames_per_turn <= 1
        return is_single and self._see(utterance, self._buffer.heard)

    def _open(self) -> Utterance:
        assert self.utterance is not None, "speech went on before it started"
        return self.utterance

    def _cut(
        self, utterance: Utterance, start: int, stop: int, speech_end: int
    ) -> Utterance:
        self.utterance = None
        if utterance.start != start:
            utterance.begin_anew(start)
        utterance.turn.timeline.speech_end = self._buffer.seconds(speech_end)
        utterance.hear(self._media, start, stop)
        self._see(utterance, speech_end)
        self._buffer.committed(stop)
        return utterance

    def _see(self, utterance: Utterance, end: int) -> bool:
        """Choose the frames for speech up to ``end``; return whether that changed them."""
        start_s, end_s = self._buffer.times(utterance.start, end)
        return utterance.see(self._media, start_s, end_s, self.pairing)
