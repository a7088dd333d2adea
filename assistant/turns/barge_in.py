"""
Whether speech during an answer is an interruption.

The assistant's own voice comes back through a microphone, people say "mm-hm" while they
listen, somebody coughs. Knows durations and levels; hears nothing itself.

    speech during an answer    too short, too quiet       → doubtful: nothing happens
                               loud enough for a user     → it is one: the answer halts
                               … and was only brief       → the answer goes on

* Speech that begins while an answer is *out* is doubtful until it has lasted for
  ``min_speech_ms`` and is loud enough. What ends before that was an echo, or nothing.
* What is more than ``echo_margin_db`` below this user's usual voice is not loud enough,
  and neither is what is not ``ECHO_STEP_DB`` above the echoes of this session. Before a
  user has said anything, every voice may be theirs.
* An answer is out while it is written, and afterwards for as long as it takes to be spoken
  (``CHARS_PER_S``): who reads it aloud tells us nothing.
* Where backchannels are ignored, speech of less than ``backchannel_ms`` lets an answer go
  on; what is written meanwhile is held back. Else every word ends it.
"""

from collections.abc import Callable, Sequence

from assistant.config import BargeInConfig
from assistant.turns.actions import Action, Send
from assistant.turns.endpointing import (
    SAMPLES_PER_MS,
    WINDOW_SAMPLES,
    Boundary,
    HardEnd,
    SpeechStarted,
)
from assistant.wire.server_events import TextDelta

CHARS_PER_S = 14.0
"""People speak so fast, and voices are made to."""
LONGEST_OUT_S = 60.0
ECHO_STEP_DB = 6.0
"""Who speaks over an echo is louder than it by that."""
MOST_BELOW_DB = 3.0
"""However loud echoes are: a user this much below their usual level is let through."""
SHARE_OF_NEW = 0.3
"""How far one utterance moves what is known of a level."""
RECENT_SAMPLES = 128 * SAMPLES_PER_MS
"""What the level of doubtful speech is taken from."""
LEAD_SAMPLES = 300 * SAMPLES_PER_MS
"""Sound before the end of a doubt that is kept: the words that ended it begin there."""

Level = Callable[[int, int], float]
"""Of a range of samples, in dB."""


class BargeIn:
    """Pass boundaries on, except those of what may be the assistant's own voice."""

    def __init__(self, config: BargeInConfig) -> None:
        self._config = config
        self._user_db: float | None = None
        self._echo_db: float | None = None
        self._out_s = 0.0
        self._now = 0.0
        self._doubtful: SpeechStarted | None = None
        self._onset = 0  # of the speech that was passed on

    @property
    def out_s(self) -> float:
        """How long what was shown may still be being spoken, as of the latest sound."""
        return self._out_s

    def wrote(self, num_chars: int) -> None:
        """So much more of an answer was shown."""
        self._out_s = min(LONGEST_OUT_S, self._out_s + num_chars / CHARS_PER_S)

    def watching(self, emit: Callable[[Action], None]) -> Callable[[Action], None]:
        """Return the same, and notice what is shown."""

        def emit_and_count(action: Action) -> None:
            if isinstance(action, Send) and isinstance(action.event, TextDelta):
                self.wrote(len(action.event.delta))
            emit(action)

        return emit_and_count

    def interrupted(self) -> None:
        """Nothing of the answer is out any more."""
        self._out_s = 0.0

    def forget_speech(self) -> None:
        """What was being heard is dropped."""
        self._doubtful = None

    def sift(
        self,
        boundaries: Sequence[Boundary],
        *,
        position: int,
        is_speech: bool,
        is_answering: bool,
        level_db: Level,
        now: float,
    ) -> list[Boundary]:
        """
        Take what one window settled; return what the session is to know of.

        Args:
            boundaries: Of this window.
            position: One past its last sample.
            is_speech: Whether it holds speech.
            is_answering: Whether an answer is being written.
            level_db: The level of a range of samples.
            now: Session seconds.
        """
        self._out_s = max(0.0, self._out_s - (now - self._now))
        self._now = now
        is_out = is_answering or self._out_s > 0
        passed: list[Boundary] = []
        for boundary in boundaries:
            if isinstance(boundary, SpeechStarted) and is_out:
                self._doubtful = boundary
            elif self._doubtful is not None:
                if isinstance(boundary, HardEnd):
                    self._learn_echo(level_db(self._doubtful.onset, boundary.at))
                    self._doubtful = None
            else:
                self._learn(boundary, level_db)
                passed.append(boundary)
        if self._doubtful is not None and is_speech:
            recent_db = level_db(max(0, position - RECENT_SAMPLES), position)
            lasted = position - self._doubtful.onset
            is_enough = lasted >= self._config.min_speech_ms * SAMPLES_PER_MS
            if not is_out or (is_enough and self._is_loud_enough(recent_db)):
                passed.append(self._believe(self._doubtful, position))
        return passed

    def is_backchannel(self, position: int) -> bool:
        """Whether what was passed on, up to there, is too brief for an interruption."""
        return position - self._onset < self._config.backchannel_ms * SAMPLES_PER_MS

    def _believe(self, started: SpeechStarted, position: int) -> SpeechStarted:
        """The doubt is over; a long one was about an echo before the words."""
        self._doubtful = None
        self._onset = max(started.onset, position - RECENT_SAMPLES)
        return SpeechStarted(max(started.at, self._onset - LEAD_SAMPLES), self._onset)

    def _learn(self, boundary: Boundary, level_db: Level) -> None:
        if isinstance(boundary, SpeechStarted):
            self._onset = boundary.onset
        elif isinstance(boundary, HardEnd):
            start = min(self._onset, boundary.at - WINDOW_SAMPLES)
            self._user_db = _towards(self._user_db, level_db(start, boundary.at))

    def _learn_echo(self, echo_db: float) -> None:
        self._echo_db = _towards(self._echo_db, echo_db)

    def _is_loud_enough(self, recent_db: float) -> bool:
        if self._user_db is None:
            return True
        least_db = self._user_db - self._config.echo_margin_db
        if self._echo_db is not None:
            over_echo_db = self._echo_db + ECHO_STEP_DB
            least_db = max(least_db, min(over_echo_db, self._user_db - MOST_BELOW_DB))
        return recent_db >= least_db


def _towards(known_db: float | None, new_db: float) -> float:
    if known_db is None:
        return new_db
    return known_db + SHARE_OF_NEW * (new_db - known_db)
