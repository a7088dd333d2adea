from collections.abc import Iterable
from random import Random

from hypothesis import given, strategies as st

from assistant.media.frame_assembly import (
    MAX_BYTES,
    MAX_PACKETS,
    MAX_WAIT_S,
    EncodedFrame,
    Fragment,
    FrameAssembler,
)

FRAME_S = 1 / 15
NUM_PIECES = 3


def depacketise(payload: bytes) -> Fragment | None:
    """A codec as plain as can be: ``key``, ``inter``, ``more``, or nothing."""
    if payload == b"bad":
        return None
    kind = payload.split(b":")[0]
    return Fragment(payload, starts=kind in (b"key", b"inter"), is_key=kind == b"key")


class Packet:
    def __init__(self, number: int, frame: int, place: int, *, is_key: bool) -> None:
        kind = b"more" if place else b"key" if is_key else b"inter"
        self.number, self.timestamp = number, frame * 6000
        self.payload = b"%s:%d;" % (kind, frame)
        self.marker = place == NUM_PIECES - 1
        self.sent_s = frame * FRAME_S


def camera(num_frames: int, keys: Iterable[int] = (0,)) -> list[Packet]:
    return [
        Packet(frame * NUM_PIECES + place, frame, place, is_key=frame in keys)
        for frame in range(num_frames)
        for place in range(NUM_PIECES)
    ]


def feed(
    assembler: FrameAssembler, packets: Iterable[Packet], first: int = 0
) -> list[EncodedFrame]:
    frames: list[EncodedFrame] = []
    for packet in packets:
        _, whole = assembler.receive(
            first + packet.number & 0xFFFF,
            packet.timestamp & 0xFFFFFFFF,
            packet.marker,
            packet.payload,
            packet.sent_s,
        )
        frames += whole
    return frames


def names(frames: Iterable[EncodedFrame]) -> list[int]:
    """Return which frames these are; each must be whole."""
    found = []
    for frame in frames:
        parts = [part.split(b":") for part in frame.data.split(b";")[:-1]]
        assert [kind for kind, _ in parts[1:]] == [b"more"] * (NUM_PIECES - 1)
        assert {name for _, name in parts} == {parts[0][1]}
        assert frame.is_key == (parts[0][0] == b"key")
        found.append(int(parts[0][1]))
    return found


def test_frames_come_out_whole_and_in_order_from_the_first_key_frame_on() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(6, keys=[2])
    assert names(feed(assembler, packets)) == [2, 3, 4, 5]
    assert not assembler.is_broken


def test_a_frame_is_whole_with_its_last_packet() -> None:
    assembler = FrameAssembler(depacketise)
    one, two, three = camera(1)
    assert feed(assembler, [one, two]) == []
    (frame,) = feed(assembler, [three])
    assert (frame.timestamp, frame.is_key, frame.arrived) == (0, True, 0.0)


def test_packets_that_overtake_each_other_make_the_same_frames() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(20)
    for at in range(2, 57, 5):
        packets[at], packets[at + 2] = packets[at + 2], packets[at]
    assert names(feed(assembler, packets, first=65_510)) == list(range(20))


def test_behind_a_missing_packet_frames_wait_for_it_to_be_sent_again() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(6)
    lost = packets.pop(4)
    assert names(feed(assembler, packets[:11])) == [0]
    assert names(feed(assembler, [lost])) == [1, 2, 3]
    assert names(feed(assembler, packets[11:])) == [4, 5]


def test_a_packet_that_stays_away_breaks_the_stream_until_a_key_frame() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(20, keys=[0, 12])
    del packets[4]
    frames = feed(assembler, packets[:26])
    assert names(frames) == [0]
    assert packets[25].sent_s > MAX_WAIT_S
    assert assembler.is_broken
    frames = feed(assembler, packets[26:])
    assert names(frames) == list(range(12, 20))
    assert [frame.follows for frame in frames] == [False, *[True] * 7]
    assert not assembler.is_broken


def test_a_whole_key_frame_ends_the_wait_at_once() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(4, keys=[0, 3])
    del packets[4]
    assert names(feed(assembler, packets)) == [0, 3]


def test_a_frame_whose_marker_was_forgotten_ends_where_the_next_begins() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(3)
    packets[2].marker = False
    assert names(feed(assembler, packets)) == [0, 1, 2]


def test_packets_that_only_fill_bandwidth_are_passed_over() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(2)
    for packet in packets[3:]:
        packet.number += 2
    filling = [Packet(3, 0, 1, is_key=False), Packet(4, 0, 1, is_key=False)]
    for packet in filling:
        packet.payload = b""
    assert names(feed(assembler, [*packets[:3], *filling, *packets[3:]])) == [0, 1]


def test_a_malformed_packet_is_as_good_as_missing() -> None:
    assembler = FrameAssembler(depacketise)
    packets = camera(3)
    packets[4].payload = b"bad"
    assert names(feed(assembler, packets)) == [0]
    assert assembler.num_malformed == 1


def test_copies_change_nothing() -> None:
    assembler = FrameAssembler(depacketise)
    doubled = [packet for packet in camera(5) for _ in range(2)]
    assert names(feed(assembler, doubled)) == list(range(5))


def test_another_sender_needs_a_key_frame_of_its_own() -> None:
    assembler = FrameAssembler(depacketise)
    feed(assembler, camera(3))
    assembler.restart()
    assert feed(assembler, camera(2, keys=[]), first=9000) == []
    assert assembler.is_broken
    assert names(feed(assembler, camera(9, keys=[5])[15:], first=9000)) == [5, 6, 7, 8]


def test_what_waits_is_bounded_in_packets_and_in_bytes() -> None:
    assembler = FrameAssembler(depacketise)
    feed(assembler, camera(1))
    for number in range(5, MAX_PACKETS + 10):
        assembler.receive(number, 6000, False, b"more:1;", 0.1)
    assert assembler.is_broken
    assert assembler.num_forgotten >= MAX_PACKETS

    assembler = FrameAssembler(depacketise)
    for number in range(30):
        assembler.receive(number, 0, False, b"more" + bytes(MAX_BYTES // 20), 0.1)
    assert assembler.num_forgotten >= 20


@given(st.integers(0, 2**32), st.floats(0, 0.2), st.floats(0, 0.05))
def test_whatever_the_network_does_frames_are_whole_in_order_and_decodable(
    seed: int, loss: float, jitter_s: float
) -> None:
    rng = Random(seed)
    sent = [packet for packet in camera(60, keys=range(0, 60, 10)) if rng.random() >= loss]
    for packet in sent:
        packet.sent_s += rng.uniform(0, jitter_s)
    sent.sort(key=lambda packet: packet.sent_s)
    frames = feed(FrameAssembler(depacketise), sent)
    found = names(frames)
    assert found == sorted(set(found))
    for before, frame in zip([None, *found], frames, strict=False):
        name = names([frame])[0]
        assert frame.is_key or before == name - 1
