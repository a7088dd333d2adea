from random import Random

import pytest

from assistant.media.rtp_clock import WINDOW_S, LeastDelay, PeerClock, StreamClock

AUDIO_HZ = 48_000
VIDEO_HZ = 90_000
NTP_S = 3_950_000_000.0
"""What the peer's own clock shows at session time 0; seconds since 1900."""


def rtp(second: float, rate_hz: int, start: int) -> int:
    return round(second * rate_hz) + start & 0xFFFFFFFF


class Stream:
    """A peer's stream that began at a random timestamp."""

    def __init__(
        self, rate_hz: int, peer: PeerClock | None = None, *, is_sound: bool, start: int
    ) -> None:
        self.clock = StreamClock(rate_hz, peer, is_sound=is_sound)
        self.rate_hz, self.start = rate_hz, start

    def send(self, captured_s: float, delay_s: float) -> None:
        self.clock.arrived(self.at(captured_s), captured_s + delay_s)

    def report(self, captured_s: float, error_s: float = 0.0) -> None:
        self.clock.reported(self.at(captured_s), NTP_S + captured_s + error_s)

    def at(self, captured_s: float) -> int:
        return rtp(captured_s, self.rate_hz, self.start)

    def seconds(self, captured_s: float) -> float:
        found = self.clock.seconds(self.at(captured_s))
        assert found is not None
        return found


def call(start: int = 4_294_900_000) -> tuple[Stream, Stream]:
    """Return sound and pictures of one peer, both about to wrap around."""
    peer = PeerClock()
    return (
        Stream(AUDIO_HZ, peer, is_sound=True, start=start),
        Stream(VIDEO_HZ, peer, is_sound=False, start=start - 77),
    )


def talk(
    sound: Stream, pictures: Stream, until_s: float, *, encoding_s: float = 0.12
) -> None:
    """Both arrive over a network of 30 to 60 ms; pictures are slow to encode."""
    rng = Random(1)
    for packet in range(int(until_s * 50)):
        sound.send(packet / 50, 0.03 + rng.uniform(0, 0.03))
    for frame in range(int(until_s * 15)):
        pictures.send(frame / 15, 0.03 + encoding_s + rng.uniform(0, 0.03))


def test_without_reports_a_time_is_that_of_the_quickest_arrival() -> None:
    sound, pictures = call()
    talk(sound, pictures, 5.0)
    assert sound.seconds(4.0) == pytest.approx(4.03, abs=0.003)
    assert pictures.seconds(4.0) == pytest.approx(4.15, abs=0.003)


def test_with_reports_pictures_stand_beside_the_sound_they_were_captured_with() -> None:
    sound, pictures = call()
    sound.report(0.5)
    pictures.report(0.7)
    talk(sound, pictures, 5.0)
    for second in (1.0, 3.0, 4.9):
        assert pictures.seconds(second) == pytest.approx(sound.seconds(second), abs=0.003)


def test_a_report_before_the_first_packet_counts() -> None:
    sound, pictures = call()
    sound.report(0.0)
    pictures.report(0.0)
    assert pictures.clock.seconds(0) is None
    talk(sound, pictures, 1.0)
    assert pictures.seconds(0.9) == pytest.approx(sound.seconds(0.9), abs=0.003)


def test_an_invented_report_is_not_believed() -> None:
    sound, pictures = call()
    sound.report(0.5)
    pictures.report(0.5, error_s=-40.0)
    talk(sound, pictures, 3.0)
    assert pictures.seconds(2.0) == pytest.approx(2.15, abs=0.003)


def test_reports_of_pictures_alone_change_nothing() -> None:
    sound, pictures = call()
    pictures.report(0.5)
    talk(sound, pictures, 3.0)
    assert pictures.seconds(2.0) == pytest.approx(2.15, abs=0.003)


def test_two_clocks_that_drift_stay_together_for_two_hours() -> None:
    drift = 1 + 100e-6
    sound, pictures = call(start=0)
    for second in range(0, 7200, 5):
        at = rtp(second * drift, AUDIO_HZ, 0)
        sound.clock.arrived(at, second + 0.03)
        sound.clock.reported(at, NTP_S + second)
        at = rtp(second * drift, VIDEO_HZ, 0)
        pictures.clock.arrived(at, second + 0.15)
        pictures.clock.reported(at, NTP_S + second)
    seen = pictures.clock.seconds(rtp(7195 * drift, VIDEO_HZ, 0))
    heard = sound.clock.seconds(rtp(7195 * drift, AUDIO_HZ, 0))
    assert heard == pytest.approx(7195.03, abs=0.005)
    assert seen == pytest.approx(7195.03, abs=0.005)


def test_a_longer_route_is_believed_after_a_while() -> None:
    sound, _ = call()
    for packet in range(50 * 40):
        sound.send(packet / 50, 0.03 if packet < 500 else 0.2)
    assert sound.seconds(39.0) == pytest.approx(39.2, abs=0.001)


def test_after_a_restart_nothing_of_the_sender_before_counts() -> None:
    sound, pictures = call()
    sound.report(0.0)
    talk(sound, pictures, 2.0)
    sound.clock.restart()
    assert sound.clock.seconds(5) is None
    sound.start = 123
    sound.send(10.0, 0.05)
    assert sound.seconds(10.0) == pytest.approx(10.05)


def test_the_least_delay_is_that_of_this_window_and_the_last() -> None:
    least = LeastDelay()
    assert least.offset_s is None
    least.receive(0.1, 0.0)
    least.receive(0.4, WINDOW_S)
    assert least.offset_s == 0.1
    least.receive(0.3, 2 * WINDOW_S)
    assert least.offset_s == 0.3
    least.receive(0.9, 100 * WINDOW_S)
    assert least.offset_s == 0.9
