"""A synthetic video that counts its frames, shown to a session: which ones were used?"""

from functools import cache

import cv2
import numpy as np
import pytest

from assistant.config import Config, EarlyConfig, LimitsConfig, PairingConfig
from assistant.media.frames import FrameStore, check_frame
from assistant.turns.pairing import FrameMeta
from assistant.wire import client_events as client, link, server_events as wire
from tests.turns.harness import WINDOW_S, Bench, FakeMedia

FRAME_S = 0.1
NUM_BITS = 10
SIDE = 32


@cache
def counted(number: int) -> bytes:
    """Return a JPEG that shows a number as black and white squares."""
    bits = [(number >> place) & 1 for place in range(NUM_BITS)]
    picture = np.kron(
        np.array([bits], np.uint8) * 200 + 25, np.ones((SIDE * 4, SIDE), np.uint8)
    )
    return bytes(cv2.imencode(".jpg", picture)[1])


def count(jpeg: bytes) -> int:
    """Read the number back."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    middle = picture[SIDE * 2, SIDE // 2 :: SIDE]
    return sum(1 << place for place in range(NUM_BITS) if middle[place] > 128)


class Camera(FakeMedia):
    """Keeps real pictures, as a session's senses do."""

    def __init__(self, max_frames: int) -> None:
        super().__init__()
        self._store = FrameStore(max_frames)

    def add_frame(self, data: bytes, captured_s: float, timestamp_ms: float | None) -> None:
        self._store.add(check_frame(data, LimitsConfig()), captured_s, timestamp_ms)

    def frames(self) -> list[FrameMeta]:
        return self._store.metas()

    def frame(self, frame_id: int) -> bytes:
        return self._store.get(frame_id)

    def novelty(self, one: int, other: int) -> float:
        return self._store.novelty(one, other)


class Show:
    """A bench with a camera that shows frame N at N tenths of a second."""

    def __init__(self, pairing: PairingConfig, delay_s: float) -> None:
        config = Config(pairing=pairing, early=EarlyConfig(speculation=False))
        self.bench = Bench(config, media=Camera(pairing.ring_frames))
        self._delay_s = delay_s
        self._num_shown = 0

    def hear(self, probability: float, duration_s: float) -> None:
        for _ in range(round(duration_s / WINDOW_S)):
            self.bench.hear(probability, WINDOW_S)
            while self._num_shown * FRAME_S + self._delay_s <= self.bench.now:
                # A clock of the client's own, 1000 s ahead of the session's.
                timestamp_ms = (1000 + self._num_shown * FRAME_S) * 1000
                image = counted(self._num_shown)
                frame = client.InputImageAppend(image=image, timestamp_ms=timestamp_ms)
                self.bench.client(frame)
                self._num_shown += 1


@pytest.mark.parametrize("delay_s", [pytest.param(0.0, marks=pytest.mark.parity), 0.15])
@pytest.mark.parametrize("num_frames", [1, 3])
@pytest.mark.parametrize("policy", ["latest", "change", "uniform"])
def test_every_used_frame_was_captured_inside_the_window(
    policy: str, num_frames: int, delay_s: float
) -> None:
    pairing = PairingConfig(
        frames_per_turn=num_frames,
        policy=policy,  # type: ignore[arg-type]  # one of three literals
        freshness_s=1.0,
        min_novelty=0.0,
    )
    show = Show(pairing, delay_s)
    for speech_s in (0.4, 1.5, 0.8):
        show.hear(0.02, 1.0)
        started = show.bench.now
        show.bench.forget()
        show.hear(0.95, speech_s)
        ended = show.bench.now
        show.hear(0.02, 0.8)
        parts = [p for order in show.bench.orders(link.Append) for p in order.parts]
        seen = [count(p.data) for p in parts if isinstance(p, link.ImagePart)]
        assert seen
        for number in seen:
            # The smallest delay of frames is their offset: what stays is taken as capture.
            captured_s = number * FRAME_S + delay_s
            assert captured_s >= started - 0.3 - pairing.freshness_s - FRAME_S
            assert captured_s <= ended + pairing.after_end_s + FRAME_S
        show.bench.answer("one")
        show.bench.finish()
        (done,) = show.bench.events(wire.ResponseDone)
        vendor = done.response.assistant
        assert isinstance(vendor, dict)
        frames = vendor["frames"]
        assert 1 <= sum(frame["used"] for frame in frames) <= num_frames
        assert all(frame["reason"] for frame in frames)
        assert all(frame["used"] == (frame["reason"] == "used") for frame in frames)
        for frame in frames:
            number = round(frame["timestamp_ms"] / 100) - 10_000
            assert frame["captured_ms"] == pytest.approx(
                number * 100 + delay_s * 1000, abs=2 * WINDOW_S * 1000
            )
