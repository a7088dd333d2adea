"""
Whether speech during an answer is an interruption, an echo, or somebody who waits.

The assistant's own voice comes back through a microphone, people say "mm-hm" while they
listen, somebody coughs. Knows durations and levels; hears nothing itself.

    speech during an answer    too short                  → nothing
                               loud enough for a user     → it is one: the answer halts
                               … and was only brief       → the answer goes on
                               quiet                      → kept until the answer is over:
                                                            then a turn, or an echo

* An answer is *out* while it is written, and from then on for as long as it takes to be
  spoken (``CHARS_PER_S``) where the client speaks it aloud. Nobody else's microphone hears
  it, and who reads it to themselves tells us nothing.
* Speech that begins while an answer is out is doubtful until it has lasted for
  ``min_speech_ms`` and is loud enough. What ends before that is a cough.
* Loud enough is who is ``ECHO_STEP_DB`` above the echoes of this session or, before there
  was one, not more than ``echo_margin_db`` below this user's usual voice. Before a user
  has said anything, every voice may be theirs, or none where answers are spoken aloud; and
  where the client says that it does not speak, every voice is loud enough.
* What was too quiet is kept, and decided when the answer is not out any more. An echo is
  there for as long as the voice is: quiet speech that filled ``ECHO_SHARE`` of the time in
  which an answer was spoken aloud was one, and is dropped. All other is a turn, late but
  whole: somebody stood farther away. Who still speaks then has the floor as well; after an
  echo, once it has lasted longer than a slow voice would (``TAIL_SHARE``).
* Where backchannels are ignored, speech of less than ``backchannel_ms`` lets an answer go
  on; what is written meanwhile is held back, and no turn comes of it. Else every word ends
  the answer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.config import BargeInConfig
from assistant.turns.actions import Action, Send
from assistant.turns.endpointing import (
    SAMPLES_PER_MS,
    WINDOW_SAMPLES,
    Boundary,
    HardEnd,
    SpeechResumed,
    SpeechStarted,
)
from assistant.wire.server_events import TextDelta

CHARS_PER_S = 14.0
"""People speak so fast, and voices are made to."""
LONGEST_OUT_S = 60.0
ECHO_STEP_DB = 6.0
"""Who speaks over an echo is louder than it by that."""
ECHO_SHARE = 0.5
"""Of the time of speaking, what an echo fills at least: voices pause, and may be twice as
fast as we think."""
TAIL_SHARE, TAIL_S = 0.25, 1.0
"""Of the time of speaking, and at least, how much longer a voice may take than we think."""
VOICE_DELAY_S = 1.0
"""From the first words shown to the first ones heard: a client speaks whole sentences."""
MOST_BELOW_DB = 3.0
"""However loud echoes are: a user this much below their usual level is let through."""
SHARE_OF_NEW = 0.3
"""How far one utterance moves what is known of a level."""
RECENT_SAMPLES = 128 * SAMPLES_PER_MS
"""What the level of doubtful speech is taken from."""
LEAD_SAMPLES = 300 * SAMPLES_PER_MS
"""Sound before the end of a doubt that is kept: the words that ended it begin there."""
WINDOW_S = WINDOW_SAMPLES / SAMPLES_PER_MS / 1000

Level = Callable[[int, int], float]
"""Of a range of samples, in dB."""


@dataclass(slots=True)
class _Kept:
    """Quiet speech that is over, until it is known whose it was."""

    started: SpeechStarted
    ended: HardEnd
    level_db: float


class BargeIn:
    """Pass boundaries on, except those of what may be the assistant's own voice."""

    def __init__(self, config: BargeInConfig) -> None:
        self._config = config
        self._speaks_aloud: Literal["unknown", "yes", "no"] = config.speaks_aloud
        self._ignores_backchannels = False
        self._user_db: float | None = None
        self._echo_db: float | None = None
        self._out_s = 0.0
        self._now = 0.0
        self._doubtful: SpeechStarted | None = None
        self._resumed: int | None = None  # where doubtful speech went on after a pause
        self._kept: _Kept | None = None
        self._spoken_s = 0.0  # of the answer that is out
        self._heard_s = 0.0  # of that, with doubtful speech
        self._tail_s = 0.0  # of doubtful speech when it should have been spoken
        self._onset = 0  # of the speech that was passed on

    def configure(
        self,
        speaks_aloud: Literal["unknown", "yes", "no"],
        *,
        ignores_backchannels: bool = False,
    ) -> None:
        """Take what the client says of its voice, and whether "mm-hm" counts."""
        self._speaks_aloud = speaks_aloud
        self._ignores_backchannels = ignores_backchannels
        if speaks_aloud != "yes":
            self._echo_db = None

    @property
    def out_s(self) -> float:
        """How long what was shown would still be being spoken."""
        return self._out_s

    @property
    def spoken_s(self) -> float:
        """How long what was shown is still being spoken, as far as the client says so."""
        return self._out_s if self._speaks_aloud == "yes" else 0.0

    @property
    def has_doubts(self) -> bool:
        """Whether something was heard of which nobody was told yet."""
        return self._doubtful is not None or self._kept is not None

    def pass_time(self, now: float) -> None:
        """It is that late; an earlier time than before counts as that."""
        self._out_s = max(0.0, self._out_s - max(0.0, now - self._now))
        self._now = max(now, self._now)

    def wrote(self, num_chars: int) -> None:
        """So much more of an answer was shown."""
        if self._out_s == 0 and self._speaks_aloud == "yes":
            self._out_s = VOICE_DELAY_S
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
        self._out_s = self._spoken_s = self._heard_s = self._tail_s = 0.0

    def forget_speech(self) -> None:
        """What was being heard is dropped."""
        self._doubtful = self._kept = None

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
        self.pass_time(now)
        is_out = self._is_out(is_answering)
        self._count(is_doubtful=is_speech and self._doubtful is not None, is_out=is_out)
        passed = self.settled(is_answering=is_answering, now=now)
        for boundary in boundaries:
            if isinstance(boundary, SpeechStarted) and is_out:
                self._doubtful, self._resumed = boundary, None
            elif self._doubtful is None:
                self._learn(boundary, level_db)
                passed.append(boundary)
            elif isinstance(boundary, HardEnd):
                self._keep(self._doubtful, boundary, level_db)
                passed += self.settled(is_answering=is_answering, now=now)
            elif isinstance(boundary, SpeechResumed):
                self._resumed = boundary.at
        if self._doubtful is not None and is_speech:
            recent_db = level_db(max(0, position - RECENT_SAMPLES), position)
            lasted = position - self._doubtful.onset
            is_enough = lasted >= self._config.min_speech_ms * SAMPLES_PER_MS
            is_over = not is_out and not self._may_be_echo
            if is_over or (is_enough and self._is_loud_enough(recent_db)):
                passed.append(self._believe(self._doubtful, position))
        return passed

    def settled(self, *, is_answering: bool, now: float) -> list[Boundary]:
        """Return what was kept, if the answer is out no more and it was no echo."""
        self.pass_time(now)
        if self._is_out(is_answering) or self._doubtful is not None:
            return []
        kept, was_echo = self._kept, self._was_echo
        self._kept = None
        self._spoken_s = self._heard_s = self._tail_s = 0.0
        if kept is None:
            return []
        if was_echo:
            self._echo_db = _towards(self._echo_db, kept.level_db)
            return []
        self._onset = kept.started.onset
        self._user_db = _towards(self._user_db, kept.level_db)
        return [kept.started, kept.ended]

    def deadline(self, *, is_answering: bool) -> float | None:
        """Return when ``settled`` will have something to say, if that is known."""
        if self._kept is None or self._doubtful is not None or is_answering:
            return None
        return self._now + self.spoken_s

    def is_backchannel(self, position: int) -> bool:
        """Whether what was passed on, up to there, is too brief for an interruption."""
        return position - self._onset < self._config.backchannel_ms * SAMPLES_PER_MS

    # --- inside -------------------------------------------------------------------------

    def _is_out(self, is_answering: bool) -> bool:
        return is_answering or self.spoken_s > 0

    def _count(self, *, is_doubtful: bool, is_out: bool) -> None:
        """Take note of how one window was filled."""
        if self.spoken_s > 0:
            self._spoken_s += WINDOW_S
            self._heard_s += WINDOW_S if is_doubtful else 0.0
        elif is_doubtful and not is_out:
            self._tail_s += WINDOW_S

    @property
    def _was_echo(self) -> bool:
        """Whether quiet speech went along with what was spoken aloud."""
        if not self._spoken_s:
            return False
        voice_s = max(self._spoken_s - VOICE_DELAY_S, VOICE_DELAY_S)
        return self._heard_s >= ECHO_SHARE * voice_s

    @property
    def _may_be_echo(self) -> bool:
        """Whether it may still do so, although that should have been spoken by now."""
        return self._was_echo and self._tail_s < max(TAIL_S, TAIL_SHARE * self._spoken_s)

    def _keep(self, started: SpeechStarted, ended: HardEnd, level_db: Level) -> None:
        """Doubtful speech is over; several pieces of it are one utterance."""
        self._doubtful = None
        least_ms = self._config.min_speech_ms
        if self._ignores_backchannels:
            least_ms = max(least_ms, self._config.backchannel_ms)
        stop = max(ended.at, started.onset + WINDOW_SAMPLES)
        if stop - started.onset < least_ms * SAMPLES_PER_MS:
            return
        loudness_db = level_db(started.onset, stop)
        if self._kept is not None:
            started = self._kept.started
            loudness_db = max(loudness_db, self._kept.level_db)
        self._kept = _Kept(started, ended, loudness_db)

    def _believe(self, started: SpeechStarted, position: int) -> SpeechStarted:
        """
        The doubt is over; return where the user began.

        That is where they were first heard, however quiet; or behind an echo.
        """
        kept, self._kept, self._doubtful = self._kept, None, None
        if not self._was_echo:
            started = started if kept is None else kept.started
            self._onset = started.onset
            return started
        recent = position - RECENT_SAMPLES if self._resumed is None else self._resumed
        self._onset = max(started.onset, recent)
        return SpeechStarted(max(started.at, self._onset - LEAD_SAMPLES), self._onset)

    def _learn(self, boundary: Boundary, level_db: Level) -> None:
        if isinstance(boundary, SpeechStarted):
            self._onset = boundary.onset
        elif isinstance(boundary, HardEnd):
            start = min(self._onset, boundary.at - WINDOW_SAMPLES)
            self._user_db = _towards(self._user_db, level_db(start, boundary.at))

    def _is_loud_enough(self, recent_db: float) -> bool:
        user_db, echo_db = self._user_db, self._echo_db
        if self._speaks_aloud == "no":
            return True
        if echo_db is not None:
            most_db = math.inf if user_db is None else user_db - MOST_BELOW_DB
            return recent_db >= min(echo_db + ECHO_STEP_DB, most_db)
        if user_db is not None:
            return recent_db >= user_db - self._config.echo_margin_db
        return self._speaks_aloud == "unknown"


def _towards(known_db: float | None, new_db: float) -> float:
    if known_db is None:
        return new_db
    return known_db + SHARE_OF_NEW * (new_db - known_db)
