"""
Transcripts of what the user said: the same model, asked for the words of one clip.

Each has a sequence of its own under the speech adapter, so the conversation's stays as it
is, and is done in the engine's background. One at a time is begun, and none while the
conversation is being answered: a transcript delays others by a rare short step at most.
Whatever was asked for ends as ``completed`` or ``failed`` and once, unless its item is
deleted before.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assistant.config import TranscriptsConfig
from assistant.turns import prompt
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.conversation import Audio, Content, Item, Text
from assistant.turns.mirror import Mirror
from assistant.turns.transcription import Transcription
from assistant.wire import link, server_events as wire

TOKENS_PER_S = 12.5
"""Of the transcript at most, one for every token of sound; nobody speaks faster, and a
model that repeats itself without end is stopped."""
SPARE_TOKENS = 16
SAMPLE_BYTES = 4


@dataclass(slots=True)
class _Clip:
    """What is to be written down; keeps its sound when the item lets go of it."""

    item: Item
    audio: Audio
    samples: bytes
    words: str
    deadline: float
    text: str = ""
    """What the client was told."""

    def segments(self) -> list[prompt.Segment]:
        content: list[Content] = [Audio(self.samples), Text(self.words)]
        return prompt.segments("", [Item(id=self.item.id, role="user", content=content)])

    def max_tokens(self) -> int:
        seconds = len(self.samples) / SAMPLE_BYTES / SAMPLE_RATE_HZ
        return SPARE_TOKENS + int(seconds * TOKENS_PER_S)


class Transcripts:
    """What one session is still to be told of its user's words."""

    def __init__(
        self,
        *,
        config: TranscriptsConfig,
        sequence_numbers: Iterator[int],
        emit: Callable[[Action], None],
    ) -> None:
        self._config = config
        self._mirror = Mirror(sequence_numbers, is_background=True)
        self._emit = emit
        self._waiting: deque[_Clip] = deque()
        self._current: _Clip | None = None
        self._num_begun = 0
        self._has_engine = False

    # --- what is wanted -----------------------------------------------------------------

    def ask(self, item: Item, transcription: Transcription, now: float) -> None:
        """Have the words of a spoken item written down, in its turn."""
        audio = next(part for part in item.content if isinstance(part, Audio))
        deadline = now + self._config.timeout_s
        clip = _Clip(item, audio, audio.samples, transcription.words, deadline)
        if len(self._waiting) >= self._config.max_waiting:
            message = f"{self._config.max_waiting} transcripts are waiting, the bound."
            self._fail(clip, "too_many_transcripts", message)
            return
        self._waiting.append(clip)

    def go_on(self) -> None:
        """Begin the next one; the caller has seen that no response is active or waits."""
        if self._current is not None or not self._waiting or not self._has_engine:
            return
        clip = self._current = self._waiting.popleft()
        reply_key = prompt.reply_key(clip.item.id)
        self._tell(self._mirror.orders("speech", clip.segments(), reply_key))
        assert self._mirror.sequence is not None
        self._num_begun += 1
        sampling = link.Sampling(max_tokens=clip.max_tokens())
        self._tell([link.Generate(self._mirror.sequence, self._num_begun, sampling)])

    def forget(self, item_id: str) -> None:
        """The item is gone; nobody wants its words."""
        self._waiting = deque(c for c in self._waiting if c.item.id != item_id)
        if self._current is not None and self._current.item.id == item_id:
            self._end()

    def close(self) -> None:
        """The session is over."""
        self._waiting.clear()
        self._end()

    # --- what happened ------------------------------------------------------------------

    def receive_engine(self, ready: link.Ready | None) -> None:
        """The engine is ready, or (None) gone with what it was writing down."""
        self._has_engine = ready is not None
        if ready is not None:
            return
        self._mirror.forget()
        clip, self._current = self._current, None
        if clip is None:
            return
        if clip.text:  # told already, and never to be taken back
            self._fail(clip, "engine_gone", "The inference engine stopped.")
        else:
            self._waiting.appendleft(clip)

    def receive_report(self, report: link.Report) -> bool:
        """Take a report; False when it is about something else."""
        sequence = getattr(report, "sequence", None)
        if sequence is None or sequence != self._mirror.sequence:
            return False
        clip = self._current
        assert clip is not None, "a sequence without a clip"
        match report:
            case link.Appended():
                self._mirror.receive_appended(report)
            case link.Token():
                self._write(clip, report.text)
            case link.Finished():
                self._write(clip, report.text)
                self._complete(clip, self._mirror.usage(report))
            case link.Failed():
                self._end()
                self._fail(clip, report.code, report.message)
        return True

    def handle_timer(self, now: float) -> None:
        """Give up those that the engine had no time for."""
        message = f"The engine had no time for it within {self._config.timeout_s:g} s."
        if self._current is not None and now >= self._current.deadline:
            clip = self._current
            self._end()
            self._fail(clip, "server_overloaded", message)
        while self._waiting and now >= self._waiting[0].deadline:
            self._fail(self._waiting.popleft(), "server_overloaded", message)

    def deadline(self) -> float | None:
        """Return when ``handle_timer`` wants to be called, if nothing happens before."""
        if self._current is not None:
            return self._current.deadline  # it was asked for before those that wait
        return self._waiting[0].deadline if self._waiting else None

    # --- inside -------------------------------------------------------------------------

    def _write(self, clip: _Clip, text: str) -> None:
        if text:
            clip.text += text
            event = wire.TranscriptDelta(item_id=clip.item.id, content_index=0, delta=text)
            self._emit(Send(event))

    def _complete(self, clip: _Clip, usage: wire.Usage) -> None:
        self._end()
        clip.audio.transcript = clip.text
        event = wire.TranscriptCompleted(
            item_id=clip.item.id,
            content_index=0,
            transcript=clip.text,
            usage=wire.TranscriptUsage.of(usage),
        )
        self._emit(Send(event))

    def _fail(self, clip: _Clip, code: str, message: str) -> None:
        error = wire.TranscriptError(code=code, message=message)
        event = wire.TranscriptFailed(item_id=clip.item.id, content_index=0, error=error)
        self._emit(Send(event))

    def _end(self) -> None:
        """Free the sequence; what the engine still says of it counts no more."""
        self._current = None
        self._tell(self._mirror.close())
        self._mirror.prune_costs([])  # whose keys hold on to the sound

    def _tell(self, orders: list[link.Order]) -> None:
        for order in orders:
            self._emit(Tell(order))
