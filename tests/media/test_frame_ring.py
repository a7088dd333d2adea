from assistant.media.frame_assembly import EncodedFrame
from assistant.media.frame_ring import (
    KEPT_S,
    MAX_BYTES,
    MAX_FRAMES,
    MAX_S,
    REFRESH_FRAMES,
    FrameRing,
)


def frame(number: int, *, is_key: bool = False, rate_hz: float = 15.0) -> EncodedFrame:
    data = b"%d" % number
    return EncodedFrame(number, data, is_key, True, number / rate_hz)


def ring_of(*keys: int, num_frames: int, rate_hz: float = 15.0) -> FrameRing:
    ring = FrameRing()
    for number in range(num_frames):
        ring.add(frame(number, is_key=number in keys, rate_hz=rate_hz))
    return ring


def kept(ring: FrameRing) -> list[int]:
    assert ring.num_bytes == sum(len(frame.data) for frame in ring.frames)
    return [frame.timestamp for frame in ring.frames]


def test_nothing_is_kept_before_the_first_key_frame() -> None:
    ring = FrameRing()
    assert not ring.add(frame(0))
    assert ring.needs_key
    assert ring.add(frame(1, is_key=True))
    assert ring.add(frame(2))
    assert kept(ring) == [1, 2]


def test_a_key_frame_makes_the_frames_before_it_superfluous_a_second_later() -> None:
    ring = ring_of(0, 20, num_frames=21)
    assert kept(ring) == list(range(21))
    for number in range(21, 20 + int(KEPT_S * 15)):
        ring.add(frame(number))
    assert kept(ring)[0] == 0
    ring.add(frame(20 + int(KEPT_S * 15)))
    assert kept(ring)[0] == 20
    assert ring.num_dropped == 0


def test_what_is_taken_begins_with_the_last_key_frame_before_it() -> None:
    ring = ring_of(0, 5, num_frames=10)
    assert [one.timestamp for one in ring.take(7)] == [5, 6, 7]
    assert kept(ring) == [8, 9]
    assert [one.timestamp for one in ring.take(1)] == [8, 9]
    assert ring.add(frame(10))
    assert kept(ring) == [10]


def test_what_is_taken_without_a_key_frame_follows_what_was_taken_before() -> None:
    ring = ring_of(0, num_frames=10)
    ring.take(3)
    assert [one.timestamp for one in ring.take(2)] == [4, 5, 6]


def test_beyond_its_bounds_the_ring_keeps_what_a_later_key_frame_begins() -> None:
    ring = ring_of(0, MAX_FRAMES - 3, num_frames=MAX_FRAMES + 1, rate_hz=1000.0)
    assert kept(ring) == list(range(MAX_FRAMES - 3, MAX_FRAMES + 1))
    assert ring.num_dropped == MAX_FRAMES - 3
    assert not ring.needs_key


def test_without_a_later_key_frame_all_is_dropped_and_one_is_needed() -> None:
    ring = ring_of(0, num_frames=MAX_FRAMES + 1, rate_hz=1000.0)
    assert kept(ring) == []
    assert ring.needs_key
    assert ring.num_dropped == MAX_FRAMES + 1
    assert not ring.add(frame(MAX_FRAMES + 1))


def test_the_ring_is_bounded_in_seconds_and_in_bytes() -> None:
    slow = ring_of(0, num_frames=int(MAX_S) + 2, rate_hz=1.0)
    assert kept(slow) == []
    large = FrameRing()
    for number in range(10):
        data = bytes(MAX_BYTES // 5)
        large.add(EncodedFrame(number, data, number == 0, True, number / 15))
        assert large.num_bytes <= MAX_BYTES
    assert large.needs_key


def test_a_refresh_is_wanted_when_decoding_would_take_long_and_until_one_comes() -> None:
    ring = ring_of(0, num_frames=REFRESH_FRAMES - 1, rate_hz=30.0)
    assert not ring.wants_refresh
    ring.add(frame(REFRESH_FRAMES - 1, rate_hz=30.0))
    assert ring.wants_refresh
    ring.add(frame(REFRESH_FRAMES, is_key=True, rate_hz=30.0))
    assert not ring.wants_refresh


def test_no_refresh_is_wanted_while_the_decoder_keeps_up() -> None:
    ring = ring_of(0, num_frames=1)
    for number in range(1, 3 * REFRESH_FRAMES):
        ring.add(frame(number))
        ring.take(0)
        assert not ring.wants_refresh


def test_after_clearing_only_a_key_frame_helps() -> None:
    ring = ring_of(0, num_frames=3)
    ring.clear()
    assert (kept(ring), ring.num_dropped, ring.needs_key) == ([], 3, True)
    assert ring.add(frame(3, is_key=True))
