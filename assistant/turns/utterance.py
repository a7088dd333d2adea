"""
What the user is saying: an item that is not in the conversation yet.

Its pictures are chosen while it is spoken, so that the engine can read them before the
sound; its sound is cut at a pause, in case that was all of it, and again at the end. Both
keep what they have if the choice has not changed, and with it what the engine has read.

The sound goes to the engine as one clip, also when it is long. The encoder's windows of
40 s could be read as they fill up, but all of them except the first begin with context
from the one before, and a clip of its own has none: the embeddings would be others.
"""

from dataclasses import dataclass, field

from assistant.config import PairingConfig
from assistant.turns.conversation import Audio, Item
from assistant.turns.media import Media
from assistant.turns.turn import Turn


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
            self.item.content = []
            self.item.num_takes += 1

    def see(
        self,
        media: Media,
        start_s: float,
        end_s: float,
        config: PairingConfig,
        frames_per_turn: int,
    ) -> bool:
        """Choose the frames anew; return whether the choice has changed."""
        version = self.item.version
        self.turn.pair(
            self.item,
            media,
            start_s=start_s,
            end_s=end_s,
            config=config,
            frames_per_turn=frames_per_turn,
        )
        return self.item.version != version
