from collections.abc import Sequence

from assistant.config import PairingConfig
from assistant.turns.pairing import FrameMeta
from assistant.turns.turn import Turn
from tests.turns.items import spoken


class Camera:
    """Frames 1 and 2, captured one second apart."""

    def frames(self) -> Sequence[FrameMeta]:
        return [
            FrameMeta(1, 0.50004, 9.0, None, 640, 480),
            FrameMeta(2, 1.5, 9.0, 77.5, 640, 480),
        ]

    def frame(self, frame_id: int) -> bytes:
        return f"frame {frame_id}".encode()

    def novelty(self, one: int, other: int) -> float:
        return 1.0


def paired(frames_per_turn: int) -> tuple[Turn, list[bytes], list[int]]:
    turn, item = Turn(), spoken("item_1")
    turn.pair(
        item,
        Camera(),
        start_s=0.4,
        end_s=2.0,
        config=PairingConfig(frames_per_turn=frames_per_turn, live_max_crops=3),
    )
    return turn, [f.data for f in item.frames], [f.max_crops for f in item.frames]


def test_the_newest_frame_is_attached_with_the_crops_of_a_live_picture() -> None:
    _, pictures, crops = paired(1)
    assert (pictures, crops) == ([b"frame 2"], [3])


def test_a_turn_gets_as_many_frames_as_it_is_to_have() -> None:
    assert paired(2)[1] == [b"frame 1", b"frame 2"]
    assert paired(0)[1] == []


def test_every_offered_frame_is_on_record_with_what_became_of_it() -> None:
    turn, _, _ = paired(1)
    assert turn.frames == [
        {
            "id": 1,
            "captured_ms": 500.0,
            "timestamp_ms": None,
            "width": 640,
            "height": 480,
            "used": False,
            "reason": "superseded",
        },
        {
            "id": 2,
            "captured_ms": 1500.0,
            "timestamp_ms": 77.5,
            "width": 640,
            "height": 480,
            "used": True,
            "reason": "used",
        },
    ]
