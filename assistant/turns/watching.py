"""
Speaking up about what the camera shows: carries out what ``watch.py`` decides.

The model is asked about one frame on a sequence of its own, in the engine's background: it
sees the session's instructions, the picture and the standing instruction, and nothing of
the conversation. What is worth saying becomes a response without a user item, given as a
whole, and an item of the conversation that later turns may refer to. Its metadata say
``{"opened_by": "watch"}``, the vendor key of its end which frame it is about.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.config import Config
from assistant.turns import prompt
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.conversation import Conversation, Frame, Item, Text
from assistant.turns.mirror import Mirror
from assistant.turns.pairing import FrameMeta
from assistant.turns.reply import Ending, Reply
from assistant.turns.settings import Settings
from assistant.turns.timeline import Timeline
from assistant.turns.turn import Frames, on_record
from assistant.turns.watch import Drop, Judged, Look, Room, Sight, Watch, WatchTally
from assistant.wire import link, server_events as wire
from assistant.wire.refusals import EventRefused

METADATA = {"opened_by": "watch"}
MAX_IN_PROMPT = 8
"""Of what was said unasked, later prompts have the latest; all of it would fill them."""


@dataclass(slots=True)
class _Look:
    """What the model is asked about, and what it has answered so far."""

    frame: FrameMeta
    timeline: Timeline
    text: str = ""
    is_cut: bool = False
    """It would have said more than it may."""
    usage: wire.Usage | None = None


class Watching:
    """The watch of one session."""

    def __init__(
        self,
        *,
        config: Config,
        conversation: Conversation,
        conversation_id: str,
        sequence_numbers: Iterator[int],
        new_id: Callable[[str], str],
        emit: Callable[[Action], None],
    ) -> None:
        self._config = config
        self._conversation = conversation
        self._conversation_id = conversation_id
        self._new_id = new_id
        self._emit = emit
        self._mirror = Mirror(sequence_numbers, is_background=True)
        self._watch = Watch(config.watch.timeout_s)
        self._settings: Settings | None = None
        self._has_engine = False
        self._look: _Look | None = None
        self._said: deque[Item] = deque()

    @property
    def is_on(self) -> bool:
        """Whether pictures are wanted although nobody speaks."""
        return self._watch.settings is not None

    @property
    def tally(self) -> WatchTally:
        return self._watch.tally

    # --- what is wanted -----------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """Watch for what these settings say from now on."""
        self._settings = settings
        is_talking = settings.type == "realtime"
        watched = settings.extensions.watch if is_talking else None
        self._stop(self._watch.configure(watched))

    def go_on(self, now: float, camera: Frames, room: Room) -> bool:
        """
        Look, or say what was seen, if there is something to look at and room for it.

        Returns whether something was said; then there is less room than before.
        """
        if not self.is_on or not self._has_engine:
            return False
        frames = {frame.id: frame for frame in camera.frames()}
        while True:
            sight = self._sight(list(frames.values()), camera, now)
            match self._watch.step(now, sight, room):
                case Look(frame_id):
                    self._begin(frames[frame_id], camera.frame(frame_id), now)
                case Drop() as drop:
                    self._stop(drop)
                case Judged(verdict):
                    look, self._look = self._look, None
                    assert look is not None
                    if verdict == "said":
                        self._speak_up(look, now)
                        return True
                case None:
                    return False

    def close(self) -> None:
        """The session is over: free what the engine holds of it."""
        self._stop(self._watch.configure(None))

    # --- what happened ------------------------------------------------------------------

    def receive_engine(self, ready: link.Ready | None) -> None:
        """The engine is ready, or (None) gone with what it was looking at."""
        self._has_engine = ready is not None
        if ready is None:
            self._mirror.forget()
            self._stop(self._watch.drop("engine"))

    def receive_report(self, report: link.Report, now: float) -> bool:
        """Take a report; False when it is about something else."""
        sequence = getattr(report, "sequence", None)
        if sequence is None or sequence != self._mirror.sequence:
            return False
        look = self._look
        assert look is not None, "a sequence without a look"
        match report:
            case link.Appended():
                self._mirror.receive_appended(report)
            case link.Admitted():
                look.timeline.admitted = now
            case link.Token():
                if look.timeline.first_token is None:
                    look.timeline.first_token = now
                look.text += report.text
            case link.Finished():
                look.text += report.text
                look.is_cut = report.reason == "length"
                look.usage = self._mirror.usage(report)
                self._let_go()
                self._watch.receive_answer(look.text)
            case link.Failed():
                self._stop(self._watch.drop("failed"))
        return True

    def deadline(self) -> float | None:
        """Return when ``go_on`` wants to be called, if nothing happens before."""
        return self._watch.deadline() if self._has_engine else None

    # --- inside -------------------------------------------------------------------------

    def _sight(
        self, frames: Sequence[FrameMeta], camera: Frames, now: float
    ) -> Sight | None:
        """Return the newest frame that a turn of now might get."""
        assert self._settings is not None
        pairing = self._settings.extensions.pairing
        seen = [
            frame
            for frame in frames
            if frame.captured_s >= now - pairing.freshness_s
            and frame.sharpness >= pairing.min_sharpness
        ]
        if not seen:
            return None
        newest = max(seen, key=lambda frame: (frame.captured_s, frame.id))
        judged = self._watch.judged_id
        is_kept = any(frame.id == judged for frame in frames)
        novelty = camera.novelty(judged, newest.id) if judged and is_kept else 1.0
        return Sight(newest.id, novelty)

    def _begin(self, frame: FrameMeta, data: bytes, now: float) -> None:
        settings, watched = self._settings, self._watch.settings
        assert settings is not None
        assert watched is not None
        self._look = _Look(frame, Timeline(committed=now))
        crops = self._config.pairing.live_max_crops
        item = Item(
            id="watch",
            role="user",
            content=[Text(watched.words)],
            frames=[Frame(frame.id, data, crops)],
        )
        segments = prompt.segments(settings.instructions, [item])
        self._tell(self._mirror.orders("vision", segments, prompt.reply_key(item.id)))
        assert self._mirror.sequence is not None
        sampling = link.Sampling(max_tokens=self._config.watch.max_output_tokens)
        number = self._mirror.next_generation()
        self._tell([link.Generate(self._mirror.sequence, number, sampling)])

    def _stop(self, dropped: Drop | None) -> None:
        """Let the engine look no longer; what it still says of it counts no more."""
        if dropped is not None:
            self._look = None
            self._let_go()

    def _let_go(self) -> None:
        self._tell(self._mirror.close())
        self._mirror.prune_costs([])  # whose keys hold on to the pictures

    def _speak_up(self, look: _Look, now: float) -> None:
        reply = Reply(
            response_id=self._new_id("resp"),
            item_id=self._new_id("item"),
            conversation_id=self._conversation_id,
            max_output_tokens=self._config.watch.max_output_tokens,
            metadata=METADATA,
            conversation=self._conversation,
            new_id=self._new_id,
        )
        look.timeline.done = now
        for event in self._ladder(reply, look):
            self._emit(Send(event, look.timeline))
        self._said += reply.items
        while len(self._said) > MAX_IN_PROMPT:
            self._said.popleft().leave_prompt()

    def _ladder(self, reply: Reply, look: _Look) -> Iterator[wire.ServerEvent]:
        ending: Ending = "incomplete" if look.is_cut else "completed"
        details: dict[str, Any] | None = None
        if look.is_cut:
            details = {"type": ending, "reason": "max_output_tokens"}
        yield from reply.open()
        try:
            yield from reply.write(look.text.strip())
            yield from reply.end_text(is_whole=not look.is_cut)
        except EventRefused as error:  # the conversation is full
            ending = "failed"
            body = {"type": "server_error", "code": error.code, "message": error.message}
            details = {"type": ending, "error": body}
        yield from reply.close(ending, details, look.usage, self._vendor(look))

    def _vendor(self, look: _Look) -> dict[str, Any]:
        assert self._watch.settings is not None
        return {
            "frames": [on_record(look.frame, "used")],
            "timeline": look.timeline.to_wire(),
            "watch": {
                "instruction": self._watch.settings.instruction,
                **self._watch.tally.to_wire(),
            },
        }

    def _tell(self, orders: list[link.Order]) -> None:
        for order in orders:
            self._emit(Tell(order))
