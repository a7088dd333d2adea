"""
PURE: H.264 as it travels in RTP (RFC 6184, packetisation modes 0 and 1), and what a frame
says of itself (ITU-T H.264, 7.3.2.1).

Frames come out in Annex B form: every NAL unit behind a start code.
"""

import re
from collections.abc import Iterator

from assistant.media.frame_assembly import DAMAGED, Fragment

START_CODE = b"\x00\x00\x00\x01"
_IDR, _SPS, _PPS, _AUD = 5, 7, 8, 9
_SLICES = (1, _IDR)
_STAP_A, _FU_A = 24, 28
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Profiles whose parameters say more of colour (7.3.2.1.1)."""
_MAX_SPS_BYTES = 512
_MAX_REFERENCES = 255
_UNIT = re.compile(rb"\x00\x00\x01")


def depacketise(payload: bytes) -> Fragment | None:
    """Remove the RTP wrapping (RFC 6184, 5.2); None for what mode 1 does not allow."""
    if not payload:
        return Fragment(b"", starts=False, is_key=False)
    kind = payload[0] & 0x1F
    if 1 <= kind <= 23:
        return _fragment([payload])
    if kind == _STAP_A:
        units = _aggregated(payload)
        return None if units is None else _fragment(units)
    if kind == _FU_A and len(payload) > 2:
        header = payload[1]
        kind = header & 0x1F
        if not header & 0x80:
            return Fragment(payload[2:], starts=False, is_key=kind == _IDR)
        return _fragment([bytes([payload[0] & 0xE0 | kind]) + payload[2:]])
    return None


def is_key(frame: bytes) -> bool:
    """Say whether a frame needs no other one."""
    return any(unit[0] & 0x1F == _IDR for unit in units(frame))


def size(frame: bytes) -> tuple[int, int] | None:
    """
    Return the (width, height) that a frame's parameters give, the largest if several.

    None if it has none; ``DAMAGED`` if one of them makes no sense.
    """
    sizes = [sps_size(unit) for unit in units(frame) if unit[0] & 0x1F == _SPS]
    if DAMAGED in sizes:
        return DAMAGED
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def parameters(frame: bytes) -> bytes:
    """Return the parameter sets in a frame, in Annex B form."""
    found = [unit for unit in units(frame) if unit[0] & 0x1F in (_SPS, _PPS)]
    return b"".join(START_CODE + unit for unit in found)


def units(frame: bytes) -> Iterator[bytes]:
    """
    Yield the NAL units that a decoder will see in a frame, without empty ones.

    Also those that somebody hid inside another: a decoder looks for start codes, too.
    """
    starts = [found.end() for found in _UNIT.finditer(frame)]
    stops = [*(start - 3 for start in starts[1:]), len(frame)]
    for start, stop in zip(starts, stops, strict=False):  # there may be no start at all
        unit = frame[start:stop].rstrip(b"\x00")
        if unit:
            yield unit


def sps_size(unit: bytes) -> tuple[int, int]:
    """Return (width, height) before cropping of a sequence parameter set, or DAMAGED."""
    # A 3 behind two zeros only keeps them from looking like a start code (7.4.1).
    fields = unit[1:_MAX_SPS_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
    try:
        return _sps_size(_Bits(fields))
    except EOFError:
        return DAMAGED


def _fragment(contained: list[bytes]) -> Fragment:
    kinds = {unit[0] & 0x1F for unit in contained}
    first = contained[0]
    kind = first[0] & 0x1F
    # A slice that begins with macroblock 0 (an Exp-Golomb 0 is one set bit) is the first.
    is_first_slice = kind in _SLICES and len(first) > 1 and bool(first[1] & 0x80)
    return Fragment(
        b"".join(START_CODE + unit for unit in contained),
        starts=kind in (_SPS, _AUD) or is_first_slice,
        is_key=_IDR in kinds or _SPS in kinds,
    )


def _aggregated(payload: bytes) -> list[bytes] | None:
    """Return the units of a STAP-A, None if one is cut off or empty."""
    found = []
    at = 1
    while at < len(payload):
        length = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + length]
        if not unit or len(unit) < length:
            return None
        found.append(unit)
        at += 2 + length
    return found or None


class _Bits:
    """Reads bits from the left; raises EOFError behind the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        """Read an unsigned Exp-Golomb number (9.1)."""
        num_zeros = 0
        while not self.read(1):
            num_zeros += 1
            if num_zeros > 32:
                raise EOFError
        return (1 << num_zeros) - 1 + self.read(num_zeros)


def _sps_size(bits: _Bits) -> tuple[int, int]:
    profile = bits.read(8)
    bits.read(16)  # constraints, level
    bits.golomb()  # id
    if profile in _HIGH_PROFILES:
        _skip_colour(bits)
    bits.golomb()  # bits of a frame number
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.read(1)
        bits.golomb()
        bits.golomb()
        for _ in range(min(bits.golomb(), _MAX_REFERENCES)):
            bits.golomb()
    bits.golomb()  # reference frames
    bits.read(1)
    width = 16 * (bits.golomb() + 1)
    height = 16 * (bits.golomb() + 1)
    is_progressive = bits.read(1)
    return width, height * (2 - is_progressive)


def _skip_colour(bits: _Bits) -> None:
    if bits.golomb() == 3:
        num_lists = 12
        bits.read(1)
    else:
        num_lists = 8
    bits.golomb()
    bits.golomb()
    bits.read(1)
    if not bits.read(1):
        return
    for number in range(num_lists):
        if bits.read(1):
            _skip_scaling_list(bits, 16 if number < 6 else 64)


def _skip_scaling_list(bits: _Bits, length: int) -> None:
    """Read past a scaling list (7.3.2.1.1.1); its numbers are signed Exp-Golomb."""
    last = following = 8
    for _ in range(length):
        if following:
            code = bits.golomb()
            following = (last + (code // 2 + 1 if code & 1 else -(code // 2))) % 256
        last = following or last
