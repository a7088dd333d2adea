"""
Who has the floor: what speech does to an answer that is out, and when nobody speaks.

    answer goes on ──speech──► held or ended ──it was only "mm-hm"──► answer goes on
         │                          └──────────more than that───────► ended
         └──done, nobody speaks for idle_timeout_ms──► the assistant speaks up

Knows settings, answers and durations. What is an interruption by its sound is judged in
``barge_in.py``; what a turn is made of, the session knows.
"""

import math

from assistant.config import Config
from assistant.turns.actions import Action, JudgePause
from assistant.turns.answers import Answers
from assistant.turns.barge_in import BargeIn
from assistant.turns.endpointing import Boundary
from assistant.turns.input_buffer import InputBuffer
from assistant.turns.media import Media
from assistant.turns.settings import Settings
from assistant.turns.watch import QUIET_S, Room


class Floor:
    """At most one utterance and one answer at a time."""

    def __init__(
        self,
        settings: Settings,
        config: Config,
        barge_in: BargeIn,
        answers: Answers,
        buffer: InputBuffer,
        media: Media,
    ) -> None:
        self._is_doubtful = False  # the open utterance may be a backchannel
        self._has_turn_model = bool(config.vad.turn_model)
        self._barge_in = barge_in
        self.configure(settings)
        self._answers = answers
        self._buffer = buffer
        self._media = media
        self._num_pauses = 0
        self._was_answering = False
        self._idle_from: float | None = None  # when the latest answer was over
        self._room = Room()

    @property
    def is_turn(self) -> bool:
        """False while an utterance may be a backchannel."""
        return not self._is_doubtful

    def configure(self, settings: Settings) -> None:
        self._settings = settings
        self._threshold = settings.effective_endpointing.threshold
        self._barge_in.configure(
            settings.extensions.speaks_aloud,
            ignores_backchannels=settings.extensions.backchannels == "ignore",
        )

    # --- speech -------------------------------------------------------------------------

    def receive_probability(self, probability: float, now: float) -> list[Boundary]:
        """Judge one window; return the boundaries that are not of our own voice."""
        is_speech = probability >= self._threshold
        boundaries = self._barge_in.sift(
            self._buffer.receive_probability(probability),
            position=self._buffer.judged,
            is_speech=is_speech,
            is_answering=self._answers.active_id is not None,
            level_db=self._media.level_db,
            now=now,
        )
        if self._is_doubtful and is_speech:
            self._yield(now)
        return boundaries

    def settled(self, now: float) -> list[Boundary]:
        """Return what was heard during an answer and had to wait for its end."""
        is_answering = self._answers.active_id is not None
        return self._barge_in.settled(is_answering=is_answering, now=now)

    def speech_started(self, now: float) -> None:
        """The user has begun to speak."""
        self._idle_from = None
        if self._settings.interrupts:
            ignores = self._settings.extensions.backchannels == "ignore"
            self._is_doubtful = ignores and self._answers.active_id is not None
            self._yield(now)

    def speech_paused(self, now: float) -> None:
        """What was said is no interruption so far: the answer goes on."""
        self._answers.release(now)

    def question(self, start: int) -> list[Action]:
        """Return what to ask about a pause in an utterance that began there."""
        self._num_pauses += 1
        if not self._settings.effective_endpointing.veto_ms or not self._has_turn_model:
            return []
        return [JudgePause(self._num_pauses, start, self._buffer.judged)]

    def receive_finality(self, number: int, finality: float) -> None:
        """Take how final the pause of that number sounds, if it is still the latest."""
        if number == self._num_pauses:
            self._buffer.receive_finality(finality)

    def speech_ended(self, now: float) -> bool:
        """The utterance is over; return whether it is a turn."""
        was_doubtful, self._is_doubtful = self._is_doubtful, False
        self.speech_paused(now)
        if self._idle_from is not None:
            self._idle_from = now
        return not was_doubtful

    def forget_speech(self, now: float) -> None:
        """What was being heard is dropped."""
        self._barge_in.forget_speech()
        self.speech_ended(now)

    def _yield(self, now: float) -> None:
        """Hold what is being answered, or end it."""
        if not self._settings.interrupts:
            self._is_doubtful = False
        elif self._is_doubtful and self._barge_in.is_backchannel(self._buffer.judged):
            self._answers.hold()
        else:
            self._is_doubtful = False
            self._answers.interrupt(now, is_answered=self._settings.answers_turns)
            self._barge_in.interrupted()

    # --- answers ------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Notice whether a response has ended; it is over when it has been spoken."""
        self.pass_time(now)
        was_answering = self._was_answering
        self._was_answering = self._answers.active_id is not None
        if was_answering and not self._was_answering:
            self._idle_from = now + self._barge_in.out_s

    def pass_time(self, now: float) -> None:
        """It is that late: so much less is still to be spoken."""
        self._barge_in.pass_time(now)

    def hushed(self) -> None:
        """The client has stopped speaking what it was told."""
        self._barge_in.interrupted()
        self._room = Room(math.inf, "answer")

    def room(self, now: float, is_hearing: bool) -> Room:
        """Return from when on the assistant may speak unasked; ``is_hearing``: a user."""
        self.pass_time(now)
        if is_hearing or self._buffer.is_speech or self._barge_in.has_doubts:
            self._room = Room(math.inf, "speech")
        elif self._answers.is_due:
            self._room = Room(math.inf, "answer")
        elif self._barge_in.spoken_s > 0:
            self._room = Room(now + self._barge_in.spoken_s, "answer")
        elif self._room.free_from == math.inf:
            self._room = Room(now + QUIET_S, self._room.taken_by)
        return self._room

    def deadline(self) -> float | None:
        """Return when the session wants to be woken, if nothing happens before."""
        is_answering = self._answers.active_id is not None
        settled_at = self._barge_in.deadline(is_answering=is_answering)
        due = (self.idle_deadline(), settled_at)
        return min((moment for moment in due if moment is not None), default=None)

    def idle_deadline(self) -> float | None:
        """Return when the assistant is to speak up, if nobody does before."""
        detection = self._settings.turn_detection
        if detection is None or detection.idle_timeout_ms is None:
            return None
        if self._idle_from is None or self._answers.is_answering:
            return None
        if self._buffer.utterance_id is not None or self._barge_in.has_doubts:
            return None  # somebody speaks
        return self._idle_from + detection.idle_timeout_ms / 1000

    def is_idle(self, now: float) -> bool:
        """Whether nobody has spoken for long enough."""
        due = self.idle_deadline()
        return due is not None and now >= due

    def speak_up(self) -> None:
        """The assistant does; it waits for an answer of its own before it does again."""
        self._idle_from = None

    def spoke_up(self, now: float) -> None:
        """It did so of its own accord: whoever is to say something has just been told."""
        if self._idle_from is not None:
            self._idle_from = now + self._barge_in.out_s
