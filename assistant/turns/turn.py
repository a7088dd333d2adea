"""What belongs to one turn beside its words: its instants and its frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from assistant.config import PairingConfig
from assistant.turns.conversation import Frame, Item, Text
from assistant.turns.pairing import FrameMeta, Reason, pair
from assistant.turns.timeline import Timeline


class Frames(Protocol):
    """Where the camera's pictures are kept."""

    def frames(self) -> Sequence[FrameMeta]:
        """Return what is known of the frames that are kept, oldest first."""

    def frame(self, frame_id: int) -> bytes:
        """Return the encoded picture."""

    def novelty(self, one: int, other: int) -> float:
        """Return how different two frames are, in [0, 1]."""


def shows_something(camera: Frames, now: float, config: PairingConfig) -> bool:
    """Return whether a turn that begins now would get a frame."""
    config = replace(config, frames_per_turn=min(1, config.frames_per_turn))
    return bool(pair(camera.frames(), now, now, config, camera.novelty).used)


def on_record(frame: FrameMeta, reason: Reason) -> dict[str, Any]:
    """Return what the vendor key says of an offered frame."""
    return {
        "id": frame.id,
        "captured_ms": round(frame.captured_s * 1000, 1),
        "timestamp_ms": frame.timestamp_ms,
        "width": frame.width,
        "height": frame.height,
        "used": reason == "used",
        "reason": reason,
    }


@dataclass(slots=True)
class Turn:
    """One turn, from its utterance to the response that uses it up."""

    timeline: Timeline = field(default_factory=Timeline)
    frames: list[dict[str, Any]] = field(default_factory=list)
    """Every frame that was offered, used or not, as it stands on the wire."""

    def pair_words(
        self,
        items: Sequence[Item],
        camera: Frames,
        now: float,
        config: PairingConfig,
    ) -> None:
        """A typed question with the camera on is about what the camera shows now."""
        last = items[-1] if items else None
        if last is None or last.role != "user" or last.num_images() or last.call:
            return
        if all(isinstance(part, Text) for part in last.content):
            self.pair(last, camera, start_s=now, end_s=now, config=config)

    def pair(
        self,
        item: Item,
        camera: Frames,
        *,
        start_s: float,
        end_s: float,
        config: PairingConfig,
    ) -> None:
        """
        Attach the frames of that time to ``item`` and note what became of every one.

        A single frame that the item has already is kept if nothing new is to be seen.
        """
        before = [frame.id for frame in item.frames]
        offered = {frame.id: frame for frame in camera.frames()}
        pairing = pair(
            list(offered.values()),
            start_s,
            end_s,
            config,
            camera.novelty,
            prefilled=before[0] if len(before) == 1 else None,
        )
        if pairing.used != before:
            item.version += 1
            item.frames = [
                Frame(frame_id, camera.frame(frame_id), config.live_max_crops)
                for frame_id in pairing.used
            ]
        self.frames = [
            on_record(offered[decision.id], decision.reason)
            for decision in pairing.decisions
        ]
