"""
Who has the floor: what speech does to an answer that is out, and when nobody speaks.

    answer goes on ──speech──► held or ended ──it was only "mm-hm"──► answer goes on
         │                          └──────────more than that───────► ended
         └──done, nobody speaks for idle_timeout_ms──► the assistant speaks up

Knows settings, answers and durations. What is an interruption by its sound is judged in
``barge_in.py``; what a turn is made of, the session knows.
"""

from assistant.turns.answers import Answers
from assistant.turns.barge_in import BargeIn, Level
from assistant.turns.endpointing import Boundary
from assistant.turns.input_buffer import InputBuffer
from assistant.turns.listener import Listener
from assistant.turns.settings import Settings


class Floor:
    """At most one utterance and one answer at a time."""

    def __init__(
        self,
        settings: Settings,
        barge_in: BargeIn,
        answers: Answers,
        listener: Listener,
        buffer: InputBuffer,
        level_db: Level,
    ) -> None:
        self.is_doubtful = False
        """The open utterance may be a backchannel: it is no turn yet."""
        self._settings = settings
        self._barge_in = barge_in
        self._answers = answers
        self._listener = listener
        self._buffer = buffer
        self._level_db = level_db
        self._was_answering = False
        self._idle_from: float | None = None  # when the latest answer was over

    def configure(self, settings: Settings) -> None:
        self._settings = settings

    # --- speech -------------------------------------------------------------------------

    def receive_probability(self, probability: float, now: float) -> list[Boundary]:
        """Judge one window; return the boundaries that are not of our own voice."""
        is_speech = probability >= self._settings.effective_endpointing.threshold
        boundaries = self._barge_in.sift(
            self._buffer.receive_probability(probability),
            position=self._buffer.judged,
            is_speech=is_speech,
            is_answering=self._answers.active_id is not None,
            level_db=self._level_db,
            now=now,
        )
        if self.is_doubtful and is_speech:
            self._yield(now)
        return boundaries

    def speech_started(self, now: float) -> None:
        """The user has begun to speak."""
        self._idle_from = None
        if self._may_interrupt():
            ignores = self._settings.backchannels == "ignore"
            self.is_doubtful = ignores and self._answers.active_id is not None
            self._yield(now)

    def speech_paused(self, now: float) -> None:
        """What was said is no interruption so far: the answer goes on."""
        self._answers.release(now)

    def speech_ended(self, now: float) -> bool:
        """The utterance is over; return whether it is a turn."""
        was_doubtful, self.is_doubtful = self.is_doubtful, False
        self.speech_paused(now)
        if self._idle_from is not None:
            self._idle_from = now
        return not was_doubtful

    def forget_speech(self, now: float) -> None:
        """What was being heard is dropped."""
        self._barge_in.forget_speech()
        self.speech_ended(now)

    def _may_interrupt(self) -> bool:
        detection = self._settings.turn_detection
        return detection is not None and detection.interrupt_response

    def _yield(self, now: float) -> None:
        """Hold what is being answered, or end it."""
        if not self._may_interrupt():
            self.is_doubtful = False
        elif self.is_doubtful and self._barge_in.is_backchannel(self._buffer.judged):
            self._answers.hold()
        else:
            self.is_doubtful = False
            self._answers.interrupt(now)
            self._barge_in.interrupted()

    # --- answers ------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Notice whether a response has ended; it is over when it has been spoken."""
        was_answering = self._was_answering
        self._was_answering = self._answers.active_id is not None
        if was_answering and not self._was_answering:
            self._idle_from = now + self._barge_in.out_s

    def idle_deadline(self) -> float | None:
        """Return when the assistant is to speak up, if nobody does before."""
        detection = self._settings.turn_detection
        if detection is None or detection.idle_timeout_ms is None:
            return None
        if self._idle_from is None or self._answers.is_answering:
            return None
        if self._listener.utterance is not None:
            return None
        return self._idle_from + detection.idle_timeout_ms / 1000

    def speak_up(self) -> None:
        """The assistant does; it waits for an answer of its own before it does again."""
        self._idle_from = None
