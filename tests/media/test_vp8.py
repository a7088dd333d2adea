from random import Random

import pytest
from hypothesis import example, given, strategies as st

from assistant.media import vp8
from assistant.media.frame_assembly import DAMAGED, Fragment
from tests.media.rtp_streams import encoded_frames, grey, vp8_payloads

KEY = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01" + bytes(20)
"""The beginning of a key frame of 640x480."""


def test_a_key_frame_says_its_size_and_others_say_none() -> None:
    key, other = encoded_frames([grey(50, 176, 144), grey(60, 176, 144)], "VP8")
    assert vp8.size(key) == (176, 144)
    assert (vp8.is_key(key), vp8.is_key(other)) == (True, False)
    assert vp8.size(other) is None


def test_a_size_that_asks_for_scaling_is_the_size_without_it() -> None:
    assert vp8.size(KEY[:7] + b"\xc2" + KEY[8:]) == (640, 480)


@pytest.mark.parametrize(
    "frame",
    [KEY[:9], KEY[:3] + b"\x9d\x01\x2b" + KEY[6:], KEY[:6] + bytes(2) + KEY[8:]],
    ids=["cut off", "wrong start code", "no width"],
)
def test_a_key_frame_that_cannot_be_is_damaged(frame: bytes) -> None:
    assert vp8.size(frame) == DAMAGED


# RFC 7741, 4.2: X R N S R PID; I L T K and what each of them adds.
@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x10",
        b"\x90\x80\x11",  # 7 bits of picture id
        b"\x90\x80\x91\x22",  # 15 bits
        b"\x90\xc0\x11\x05",  # and the index of level 0
        b"\x90\xf0\x91\x22\x05\x60",  # and the layer and the key index
        b"\x90\x20\x40",  # the layer alone
        b"\x90\x00",  # an extension without anything
    ],
)
def test_every_descriptor_is_removed(descriptor: bytes) -> None:
    assert vp8.depacketise(descriptor + KEY) == Fragment(KEY, starts=True, is_key=True)


def test_only_the_first_partition_s_first_packet_starts_a_frame() -> None:
    for descriptor in (b"\x00", b"\x11", b"\x03"):
        fragment = vp8.depacketise(descriptor + KEY)
        assert fragment == Fragment(KEY, starts=False, is_key=False)


def test_an_inter_frame_starts_but_is_no_key_frame() -> None:
    fragment = vp8.depacketise(b"\x10" + b"\x31\x00\x00")
    assert fragment == Fragment(b"\x31\x00\x00", starts=True, is_key=False)


def test_a_packet_that_only_fills_bandwidth_has_no_data() -> None:
    assert vp8.depacketise(b"") == Fragment(b"", starts=False, is_key=False)


@pytest.mark.parametrize("payload", [b"\x10", b"\x90", b"\x90\x80", b"\x90\xf0\x91\x22"])
def test_a_descriptor_without_a_frame_is_refused(payload: bytes) -> None:
    assert vp8.depacketise(payload) is None


def test_a_frame_is_the_packets_without_their_descriptors() -> None:
    rng = Random(1)
    frame = KEY + rng.randbytes(5000)
    fragments = [vp8.depacketise(payload) for payload in vp8_payloads(frame)]
    assert len(fragments) == 5
    assert b"".join(one.data for one in fragments if one is not None) == frame
    assert [one is not None and one.starts for one in fragments] == [True, *[False] * 4]


@given(st.binary(max_size=40))
@example(b"\x90\x80\x80")
def test_any_bytes_are_taken_or_refused(payload: bytes) -> None:
    fragment = vp8.depacketise(payload)
    if fragment is not None:
        assert payload.endswith(fragment.data)
    size = vp8.size(payload)
    assert size is None or (0 <= size[0] < 2**14 and 0 <= size[1] < 2**14)
