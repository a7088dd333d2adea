from random import Random

import pytest
from hypothesis import example, given, strategies as st

from assistant.media import h264
from assistant.media.frame_assembly import DAMAGED, Fragment
from tests.media.rtp_streams import encoded_frames, grey, h264_payloads

START = h264.START_CODE
IDR = b"\x65\x88\x84" + bytes(range(1, 40))
SLICE = b"\x41\x9a\x24" + bytes(range(1, 40))
# Baseline, level 3.0, 640x480 progressive: 66, constraints, 30, then Exp-Golomb codes.
SPS_640X480 = bytes.fromhex("6742c01ed900a03db0")
PPS = b"\x68\xce\x38\x80"


def bits(*fields: int | tuple[int, int]) -> bytes:
    """Write fields: a number as unsigned Exp-Golomb, a pair as (value, number of bits)."""
    text = ""
    for field in fields:
        if isinstance(field, tuple):
            text += format(field[0], f"0{field[1]}b")
        else:
            code = format(field + 1, "b")
            text += "0" * (len(code) - 1) + code
    text += "1" + "0" * (-(len(text) + 1) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def sps(width_mbs: int, height_units: int, *, progressive: int = 1) -> bytes:
    head = ((66, 8), (0, 8), (30, 8), 0)
    size = (width_mbs - 1, height_units - 1, (progressive, 1))
    return b"\x67" + bits(*head, 0, 2, 1, (0, 1), *size)


def test_a_frame_says_its_size_in_macroblocks() -> None:
    frames = encoded_frames([grey(50, 176, 144), grey(60, 176, 144)], "H264")
    assert h264.size(frames[0]) == (176, 144)
    assert h264.size(frames[1]) is None
    assert [h264.is_key(frame) for frame in frames] == [True, False]


def test_a_known_parameter_set_is_read() -> None:
    assert h264.sps_size(SPS_640X480) == (640, 480)


def test_interlaced_pictures_are_twice_as_high() -> None:
    assert h264.sps_size(sps(40, 15, progressive=0)) == (640, 480)


def test_profiles_that_say_more_of_colour_are_read_past_it() -> None:
    lists: list[int | tuple[int, int]] = [
        (1, 1),
        (1, 1),
        *[0] * 16,
        *[(0, 1)] * 7,
    ]  # one scaling list, flat
    high = b"\x67" + bits(
        *((100, 8), (0, 8), (31, 8), 0, 1, 0, 0, (0, 1)),
        *lists,
        *(0, 0, 4, 1, (0, 1), 79, 44, (1, 1)),
    )
    assert h264.sps_size(high) == (1280, 720)


def test_frame_numbers_counted_by_cycles_are_read_past() -> None:
    cycles = b"\x67" + bits(
        *((66, 8), (0, 8), (30, 8), 0, 0, 1, (0, 1), 0, 0, 2, 1, 1, 1, (0, 1)),
        *(39, 29, (1, 1)),
    )
    assert h264.sps_size(cycles) == (640, 480)


def test_zeros_that_were_escaped_are_read_as_they_were() -> None:
    head = ((66, 8), (0, 8), (0, 8), 127)  # 42 00 00 01
    plain = b"\x67" + bits(*head, 0, 2, 1, (0, 1), 39, 29, (1, 1))
    escaped = plain.replace(b"\x00\x00\x01", b"\x00\x00\x03\x01")
    assert len(escaped) == len(plain) + 1
    assert h264.sps_size(escaped) == (640, 480)


@pytest.mark.parametrize("unit", [b"\x67", SPS_640X480[:6], b"\x67" + bytes(40)])
def test_a_parameter_set_that_is_cut_off_is_damaged(unit: bytes) -> None:
    assert h264.sps_size(unit) == DAMAGED
    assert h264.size(START + SPS_640X480 + START + unit) == DAMAGED


def test_the_largest_of_several_sizes_counts_wherever_it_is_hidden() -> None:
    hidden = b"\x41\x9a" + b"\x00\x00\x01" + sps(500, 500) + b"\x00\x00\x01\x41\x9a"
    assert h264.size(START + SPS_640X480 + START + hidden) == (8000, 8000)


def test_a_single_unit_gets_a_start_code() -> None:
    assert h264.depacketise(SLICE) == Fragment(START + SLICE, starts=True, is_key=False)
    assert h264.depacketise(IDR) == Fragment(START + IDR, starts=True, is_key=True)
    later = b"\x41\x1a\x24"  # does not begin with macroblock 0
    assert h264.depacketise(later) == Fragment(START + later, starts=False, is_key=False)


def test_units_that_travel_together_are_taken_apart() -> None:
    together = b"\x18" + b"".join(
        len(unit).to_bytes(2, "big") + unit for unit in (SPS_640X480, PPS, IDR)
    )
    fragment = h264.depacketise(together)
    whole = START + SPS_640X480 + START + PPS + START + IDR
    assert fragment == Fragment(whole, starts=True, is_key=True)
    assert h264.parameters(whole) == START + SPS_640X480 + START + PPS


def test_a_unit_that_travels_in_pieces_is_put_together() -> None:
    unit = IDR + Random(1).randbytes(4000).replace(b"\x00", b"\x01")
    fragments = [h264.depacketise(payload) for payload in h264_payloads(START + unit)]
    assert len(fragments) == 4
    assert b"".join(one.data for one in fragments if one is not None) == START + unit
    assert [one is not None and one.starts for one in fragments] == [True, *[False] * 3]
    assert all(one is not None and one.is_key for one in fragments)


def test_a_frame_that_begins_in_the_middle_of_a_unit_says_nothing() -> None:
    assert list(h264.units(b"abc")) == list(h264.units(b"")) == []
    assert (h264.is_key(b"abc"), h264.size(b"abc")) == (False, None)


def test_a_packet_that_only_fills_bandwidth_has_no_data() -> None:
    assert h264.depacketise(b"") == Fragment(b"", starts=False, is_key=False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x18",  # together, but nothing
        b"\x18\x00\x00",  # an empty unit
        b"\x18\x00\x09abc",  # one that is cut off
        b"\x1c\x85",  # a piece without anything
        b"\x19\x00\x00\x00\x01a",  # interleaved: mode 2, which nobody was offered
        b"\x00abc",
    ],
)
def test_what_mode_1_does_not_have_is_refused(payload: bytes) -> None:
    assert h264.depacketise(payload) is None


@given(st.binary(max_size=60))
@example(b"\x18\x00\x01\x67\x00\x01")
@example(b"\x67\xff\xff\xff\x00\x00\x00\x00\x00\x00")
def test_any_bytes_are_taken_or_refused(payload: bytes) -> None:
    h264.depacketise(payload)
    h264.parameters(START + payload)
    width, height = h264.size(START + b"\x67" + payload) or DAMAGED
    assert width >= 0
    assert height >= 0
