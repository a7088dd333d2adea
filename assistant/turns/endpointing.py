"""
Endpointing: speech probabilities in, speech boundaries out.

No audio passes through here, only one probability per 512-sample window; positions are
sample indices at 16 kHz counted from the first window. Nothing here reads a clock.

    probability   ▁▁▁▁▂█████████▅▂▁▁▁▁▃██████▆▂▁▁▁▁▁▁▁▁▁▁
                      ╷        ╷   ╷  ╷     ╷   ╷       ╷
             at onset ┘   audible  │  │ audible soft    hard
                            end    │  resumed  end      end
                                   soft end

Rules:

* A window is SPEECH from ``threshold`` up, SILENCE below ``threshold - hysteresis``, and
  UNSURE between.
* An utterance opens after ``start_ms`` of SPEECH windows, if two are CLEAR: in the upper
  two fifths above ``threshold``. Murmur that never is clear takes ``UNCLEAR_MS``. UNSURE
  windows may lie between, as many as there is speech, but no SILENCE, which begins twice as
  far below ``threshold`` in an opening. The utterance starts at the first of them, less
  ``prefix_padding_ms``, but never before the end of the utterance before, and never by
  more than half of ``max_utterance_s``.
* Speech ends, to the ear, before the VAD says so. Its last windows fade (SPEECH, but no
  longer CLEAR); up to ``FADE_MS`` of them are no speech. Of the rest, the last
  ``hangover_ms`` are the VAD's delay. What is left is the position in SoftEnd and HardEnd,
  and silence is counted from it, so that both durations mean silence as a listener hears
  it. At least half of a silence must lie after the last SPEECH window.
* SoftEnd falls after ``soft_silence_ms`` of silence or more, HardEnd after
  ``silence_duration_ms`` or more; both in one window, in this order, if their times
  coincide. They fall on a SILENCE window. UNSURE ones hold them off, but only for as much
  time again: a murmur in the background must not keep an utterance open.
* SPEECH after a SoftEnd is SpeechResumed: one window suffices. How long a speaker's
  pauses make both ends wait is up to ``patience.py``: the HardEnd adapts only with a
  ``longest_silence_ms`` above ``silence_duration_ms``. Who is cut off and goes on within
  ``REGRET_MS`` has paused, too.
* An utterance that reaches ``max_utterance_s`` (from its start, padding included) gets a
  HardEnd with reason ``max_length``; if speech goes on, the next one starts there.

``HardEnd.at`` is where sound stops, give or take 100 ms. Who commits the utterance (the
session) adds a little trailing audio, so that a soft last consonant is kept.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, Self

from assistant.config import EndpointingConfig
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.patience import Patience

WINDOW_SAMPLES = 512
"""One VAD window, 32 ms at 16 kHz."""
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
SILERO_HANGOVER_MS = 56
"""Median over labelled recordings; see tests/bench/endpointing_labels.py."""
FADE_MS = 128
"""Breath and room go on for about as long; a low voice must not be cut by more."""
CLEAR = 0.6
"""Where CLEAR begins, as a share of the way from ``threshold`` to 1."""
CLEAR_TO_OPEN = 2
"""CLEAR windows in an opening: a clap or a clatter of dishes has one."""
UNCLEAR_MS = 384
"""Voices in the next room come in shorter stretches than someone who is hard to hear."""
REGRET_MS = 1000
"""Speech this soon after a HardEnd goes on with what was cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpointing:
    """The settings; see EndpointingConfig for their bounds and defaults."""

    threshold: float
    hysteresis: float
    start_ms: int
    prefix_padding_ms: int
    soft_silence_ms: int
    silence_duration_ms: int
    max_utterance_s: float
    hangover_ms: int
    """How long the VAD goes on calling speech after the last audible sound."""
    longest_silence_ms: int = 0
    """Up to where the silence adapts to the speaker; 0: it does not."""
    veto_ms: int = 0
    """Up to where a HardEnd is held off because the words do not sound final."""

    @property
    def adapts(self) -> bool:
        """Whether pauses of a speaker, and how final they sound, matter."""
        return self.longest_silence_ms > self.silence_duration_ms

    @classmethod
    def from_config(
        cls, config: EndpointingConfig, hangover_ms: int = SILERO_HANGOVER_MS
    ) -> Self:
        """Take the configured defaults, and the hang-over of the VAD in use."""
        return cls(
            threshold=config.threshold,
            hysteresis=config.hysteresis,
            start_ms=config.start_ms,
            prefix_padding_ms=config.prefix_padding_ms,
            soft_silence_ms=config.soft_silence_ms,
            silence_duration_ms=config.silence_duration_ms,
            max_utterance_s=config.max_utterance_s,
            hangover_ms=hangover_ms,
        )


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at: int
    """Index of the utterance's first sample, prefix padding included."""
    onset: int
    """Index of the first sample of the first speech window."""


@dataclass(frozen=True, slots=True)
class SoftEnd:
    at: int
    """Index one past the last audible sample."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    at: int
    """Index of the first sample of the window that holds speech again."""


@dataclass(frozen=True, slots=True)
class HardEnd:
    at: int
    """Index one past the last audible sample; for ``max_length``, where it was cut."""
    reason: Literal["silence", "max_length"]


Boundary = SpeechStarted | SoftEnd | SpeechResumed | HardEnd


class State(Enum):
    QUIET = auto()
    """Nobody speaks."""
    STARTING = auto()
    """Speech, but not yet ``start_ms`` of it."""
    SPEAKING = auto()
    PAUSED = auto()
    """SoftEnd was reported; the utterance may go on."""


class Sign(Enum):
    """What a window can mean to the machine."""

    SPEECH = auto()
    NO_SPEECH = auto()
    ENOUGH_SPEECH = auto()
    SHORT_SILENCE = auto()
    LONG_SILENCE = auto()
    TOO_LONG = auto()


TRANSITIONS: dict[tuple[State, Sign], State] = {
    (State.QUIET, Sign.SPEECH): State.STARTING,
    (State.QUIET, Sign.NO_SPEECH): State.QUIET,
    (State.STARTING, Sign.SPEECH): State.STARTING,
    (State.STARTING, Sign.NO_SPEECH): State.QUIET,
    (State.STARTING, Sign.ENOUGH_SPEECH): State.SPEAKING,
    (State.SPEAKING, Sign.SPEECH): State.SPEAKING,
    (State.SPEAKING, Sign.NO_SPEECH): State.SPEAKING,
    (State.SPEAKING, Sign.SHORT_SILENCE): State.PAUSED,
    (State.SPEAKING, Sign.TOO_LONG): State.QUIET,
    (State.PAUSED, Sign.SPEECH): State.SPEAKING,
    (State.PAUSED, Sign.NO_SPEECH): State.PAUSED,
    (State.PAUSED, Sign.LONG_SILENCE): State.QUIET,
    (State.PAUSED, Sign.TOO_LONG): State.QUIET,
}


class Endpointer:
    """Find where utterances start and end in a stream of speech probabilities."""

    def __init__(self, settings: Endpointing) -> None:
        self._settings = settings
        self._state = State.QUIET
        self._position = 0
        self._floor = 0  # no utterance may start before this index
        self._cut_at: int | None = None  # by the latest HardEnd in silence
        self._start = 0  # of the running utterance, padding included
        self._onset = 0  # of the running or starting utterance
        self._voiced_until = 0  # one past the last SPEECH window
        self._clear_until = 0  # one past the last CLEAR window
        self._paused_at = 0  # where sound stopped before the latest SoftEnd
        self._num_speech = 0  # SPEECH windows in the opening
        self._num_clear = 0  # CLEAR ones among them
        self._patience = Patience()

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open: from SpeechStarted to HardEnd."""
        return self._state in (State.SPEAKING, State.PAUSED)

    @property
    def position(self) -> int:
        """Number of samples judged; where the next window begins."""
        return self._position

    def configure(self, settings: Endpointing) -> None:
        """Use other settings from the next window on; a running utterance goes on."""
        self._settings = settings

    def reset(self, position: int | None = None) -> None:
        """
        Forget a running utterance without reporting its end.

        Positions go on counting from ``position``, by default from here, and the next
        utterance starts there at the earliest.
        """
        self._state = State.QUIET
        if position is not None:
            assert position >= self._position, "sound cannot be judged twice"
            self._position = position
        self._floor = self._position

    def receive_finality(self, finality: float) -> None:
        """
        Take how final the running pause sounds, in [0, 1]; it counts until speech goes on.

        Without effect where no pause runs or the silence is not to adapt.
        """
        if self._state is State.PAUSED:
            self._patience.receive_finality(finality)

    def receive(self, probability: float) -> list[Boundary]:
        """Take the probability of the next window, in [0, 1]; return what it settles."""
        window = self._position
        self._position += WINDOW_SAMPLES
        settings, threshold = self._settings, self._settings.threshold
        speech = probability >= threshold
        if speech:
            if self._state is State.QUIET:
                self._onset, self._num_speech, self._num_clear = window, 0, 0
            self._num_speech += 1
            self._voiced_until = self._position
            if probability >= threshold + CLEAR * (1 - threshold):
                self._clear_until = self._position
                self._num_clear += 1
        # A voice that sets in wavers: one dip is no reason to find its onset later.
        depth = 2 if self._state is State.STARTING else 1
        silent = probability < threshold - depth * settings.hysteresis

        is_sign = speech or silent or not self._may_be_starting()
        sign = Sign.SPEECH if speech else Sign.NO_SPEECH
        boundaries = self._apply(sign, window) if is_sign else []
        if self._state is State.STARTING and self._is_enough():
            boundaries += self._apply(Sign.ENOUGH_SPEECH, window)
        if self.speaking and not speech:
            silence_ms = self._silence() / SAMPLES_PER_MS / (1 if silent else 2)
            hard_ms = self._hard_ms()
            is_over = silence_ms >= hard_ms
            soft_ms = self._patience.soft_ms(settings.soft_silence_ms, hard_ms)
            if self._state is State.SPEAKING and (is_over or silence_ms >= soft_ms):
                boundaries += self._apply(Sign.SHORT_SILENCE, window)
            if is_over:
                boundaries += self._apply(Sign.LONG_SILENCE, window)
        if self.speaking and (
            self._position - self._start >= settings.max_utterance_s * SAMPLE_RATE_HZ
        ):
            boundaries += self._apply(Sign.TOO_LONG, window)
        return boundaries

    def _apply(self, sign: Sign, window: int) -> list[Boundary]:
        """Make one transition and return what it reports."""
        before = self._state
        self._state = TRANSITIONS[before, sign]
        match sign, before:
            case Sign.ENOUGH_SPEECH, _:
                padding = min(
                    self._settings.prefix_padding_ms * SAMPLES_PER_MS,
                    int(self._settings.max_utterance_s * SAMPLE_RATE_HZ) // 2,
                )
                self._start = max(self._floor, self._onset - padding)
                self._patience.pause()
                self._regret()
                return [SpeechStarted(self._start, self._onset)]
            case Sign.SPEECH, State.PAUSED:
                self._patience.learn((window - self._paused_at) / SAMPLES_PER_MS)
                return [SpeechResumed(window)]
            case Sign.SHORT_SILENCE, _:
                self._paused_at = self._audible_until()
                self._patience.pause()
                return [SoftEnd(self._paused_at)]
            case Sign.LONG_SILENCE, _:
                self._patience.turn_over()
                self._cut_at = self._floor = self._audible_until()
                return [HardEnd(self._floor, "silence")]
            case Sign.TOO_LONG, _:
                self._floor = self._position
                return [HardEnd(self._floor, "max_length")]
        return []

    def _may_be_starting(self) -> bool:
        """Return whether what is STARTING may go on with an UNSURE window."""
        num_windows = (self._position - self._onset) // WINDOW_SAMPLES
        return self._state is State.STARTING and num_windows <= 2 * self._num_speech

    def _is_enough(self) -> bool:
        """Return whether what is STARTING is an utterance."""
        duration_ms = self._num_speech * WINDOW_SAMPLES // SAMPLES_PER_MS
        start_ms = self._settings.start_ms
        num_clear = min(CLEAR_TO_OPEN, start_ms * SAMPLES_PER_MS // WINDOW_SAMPLES)
        is_clear = self._num_clear >= num_clear
        return duration_ms >= (start_ms if is_clear else max(start_ms, UNCLEAR_MS))

    def _regret(self) -> None:
        """Learn of a pause that was taken for an end."""
        if self._cut_at is None or not self._settings.adapts:
            return
        pause_ms = (self._onset - self._cut_at) / SAMPLES_PER_MS
        if 0 < pause_ms <= REGRET_MS:
            self._patience.learn(pause_ms)

    def _hard_ms(self) -> float:
        settings = self._settings
        least_ms, longest_ms = settings.silence_duration_ms, settings.longest_silence_ms
        return self._patience.hard_ms(least_ms, longest_ms, settings.veto_ms)

    def _silence(self) -> int:
        """Return for how many samples it has been silent to the ear, with some doubt."""
        certain = self._position - self._voiced_until
        return min(self._position - self._audible_until(), 2 * certain)

    def _audible_until(self) -> int:
        """Return where speech ended to the ear: at least one window after the onset."""
        voiced = max(self._clear_until, self._voiced_until - FADE_MS * SAMPLES_PER_MS)
        hangover = self._settings.hangover_ms * SAMPLES_PER_MS
        return max(self._onset + WINDOW_SAMPLES, voiced - hangover)
