"""
What the user is saying: an item that is not in the conversation yet.

Its pictures are chosen while it is spoken, so that the engine can read them before the
sound; its sound is cut at a pause, in case that was all of it, and again at the end. Both
keep what they have if the choice has not changed, and with it what the engine has read.

Of a long one the complete windows of 40 s are there to be read while it goes on: nothing
that is said later changes them.
"""

from dataclasses import dataclass, field

from assistant.config import PairingConfig
from assistant.turns.conversation import Audio, Content, Item
from assistant.turns.media import Media
from assistant.turns.turn import Turn
from assistant.turns.windows import num_windows, windows_end


@dataclass(slots=True)
class Utterance:
    """An item in the making, and the turn that it opens."""

    item: Item
    start: int
    """First sample, padding included."""
    turn: Turn = field(default_factory=Turn)
    paused_at: int | None = None
    """One past the last audible sample while there is a pause."""
    may_be_answered: bool = False
    """In a pause: nothing speaks against answering it already."""
    _heard: tuple[int, int] | None = None
    _num_windows: int = 0
    _windows: list[Content] = field(default_factory=list)
    """What is said for good: one clip of so many complete windows, or nothing yet."""

    def hear_windows(self, media: Media, heard: int) -> bool:
        """Take the windows that are complete by now; return whether there are new ones."""
        # In a pause the end may turn out to lie before the end of the window.
        if self.paused_at is not None or self._heard is not None:
            return False
        count = num_windows(heard - self.start)
        if count <= self._num_windows:
            return False
        self._num_windows = count
        clip = media.clip(self.start, self.start + windows_end(count))
        self._windows = [Audio(clip)]
        self.item.content = self._windows[:]
        self.item.num_takes += 1
        return True

    def begin_anew(self, start: int) -> None:
        """It begins elsewhere: nothing that was read of its sound holds."""
        self.start = start
        if self._windows:
            self._num_windows, self._windows = 0, []
            self.item.version += 1

    def hear(self, media: Media, start: int, stop: int) -> None:
        """Cut the sound; the same range again changes nothing."""
        if self._heard != (start, stop):
            self.take_back()
            self._heard = (start, stop)
            self.item.content = [Audio(media.clip(start, stop))]

    def take_back(self) -> None:
        """The user goes on speaking: there is no sound to answer yet."""
        self.may_be_answered = False
        if self._heard is not None:
            self._heard = None
            self.item.content = self._windows[:]
            self.item.num_takes += 1

    def see(
        self, media: Media, start_s: float, end_s: float, config: PairingConfig
    ) -> bool:
        """Choose the frames anew; return whether the choice has changed."""
        version = self.item.version
        self.turn.pair(self.item, media, start_s=start_s, end_s=end_s, config=config)
        return self.item.version != version
