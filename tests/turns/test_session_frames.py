"""Which frames a turn gets, as its session wishes."""

import pytest

from assistant.config import Config, EarlyConfig
from assistant.wire import client_events as client, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import Bench

PLAIN = Config(early=EarlyConfig(speculation=False))


class Meadow(Bench):
    """A bench whose camera shows a frame every second, for nine seconds of a question."""

    def __init__(self, **video: object) -> None:
        super().__init__(PLAIN)
        self.update(assistant={"video": video})
        self.echoed = self.events(wire.SessionUpdated)[-1].session["assistant"]["video"]
        for _ in range(9):
            self.hear(0.95, 1.0)
            self.client(client.InputImageAppend(image=b"jpeg"))
        self.hear(0.02, 0.7)
        self.answer("Hello.")
        self.finish()

    def used(self) -> list[int]:
        vendor = self.done().assistant
        assert isinstance(vendor, dict)
        return [frame["id"] for frame in vendor["frames"] if frame["used"]]


def test_a_session_has_the_services_frames_until_it_wishes_others() -> None:
    meadow = Meadow()
    assert meadow.used() == [9]
    assert meadow.echoed == {
        "frames_per_turn": 1,
        "policy": "uniform",
        "freshness_ms": 3000,
    }


@pytest.mark.parametrize(
    ("policy", "used"),
    [("latest", [7, 8, 9]), ("uniform", [1, 5, 9]), ("change", [1, 2, 9])],
)
def test_a_session_chooses_the_policy_of_its_turns(policy: str, used: list[int]) -> None:
    meadow = Meadow(frames_per_turn=3, policy=policy)
    assert (meadow.echoed["frames_per_turn"], meadow.echoed["policy"]) == (3, policy)
    assert meadow.used() == used


@pytest.mark.parametrize(("freshness_ms", "is_used"), [(0, False), (1500, True)])
def test_a_session_says_how_old_a_frame_may_be(freshness_ms: int, is_used: bool) -> None:
    bench = Bench(PLAIN)
    bench.update(assistant={"video": {"freshness_ms": freshness_ms}})
    bench.hear(0.02, 1.0)
    bench.client(client.InputImageAppend(image=b"jpeg"))
    bench.hear(0.02, 1.5)
    bench.speak()
    bench.answer("Hello.")
    bench.finish()
    vendor = bench.done().assistant
    assert isinstance(vendor, dict)
    (frame,) = vendor["frames"]
    assert frame["used"] == is_used
    assert is_used or frame["reason"] == "stale"


def test_a_wrong_wish_is_refused_and_leaves_the_frames_as_they_were() -> None:
    bench = Bench(PLAIN)
    with pytest.raises(EventRefused) as refused:
        bench.update(assistant={"video": {"policy": "change", "freshness_ms": -1}})
    assert refused.value.param == "session.assistant.video.freshness_ms"
    assert bench.session.settings.extensions.pairing == PLAIN.pairing
