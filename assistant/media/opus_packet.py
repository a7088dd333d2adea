"""
PURE: what an Opus packet says of itself, without decoding it (RFC 6716, 3 and 4.2).
"""

CLOCK_HZ = 48_000
"""Opus counts time in samples at 48 kHz, whatever was recorded (RFC 7587, 4.1)."""
MAX_TICKS = CLOCK_HZ * 120 // 1000
"""A packet holds at most 120 ms."""

_SILK_TICKS = (480, 960, 1920, 2880)
_HYBRID_TICKS = (480, 960)
_CELT_TICKS = (120, 240, 480, 960)
_FIRST_CELT_ONLY = 16
_FIRST_HYBRID = 12


def duration_ticks(packet: bytes) -> int:
    """Return how long the packet sounds at 48 kHz; 0 if it is no Opus packet."""
    if not packet:
        return 0
    code = packet[0] & 3
    if code < 3:
        num_frames = (1, 2, 2)[code]
    elif len(packet) > 1:
        num_frames = packet[1] & 0x3F
    else:
        return 0
    ticks = num_frames * _frame_ticks(packet[0])
    return ticks if ticks <= MAX_TICKS else 0


def is_pause(packet: bytes) -> bool:
    """
    Say whether the encoder has gone silent with this packet (DTX).

    Such a packet has no frame in it; nothing need follow until there is sound again.
    """
    return 0 < len(packet) <= 2


def has_fec(packet: bytes) -> bool:
    """
    Say whether the packet carries a copy of the one before it (LBRR, RFC 6716, 4.2.3).

    The flags are coded with even odds at the very beginning of a SILK frame, so they are
    its first bits: one voice flag for each 20 ms, then the flag that is looked for, and
    the same again for the second channel.
    """
    if not packet or packet[0] >> 3 >= _FIRST_CELT_ONLY:
        return False
    frame = _first_frame(packet)
    if not frame:
        return False
    num_flags = max(1, _frame_ticks(packet[0]) // 960)
    is_stereo = bool(packet[0] & 4)
    places = (num_flags, 2 * num_flags + 1) if is_stereo else (num_flags,)
    return any(frame[0] >> 7 - place & 1 for place in places)


def _frame_ticks(toc: int) -> int:
    """Return the duration of one frame (RFC 6716, table 2)."""
    config = toc >> 3
    if config < _FIRST_HYBRID:
        return _SILK_TICKS[config & 3]
    if config < _FIRST_CELT_ONLY:
        return _HYBRID_TICKS[config & 1]
    return _CELT_TICKS[config & 3]


def _first_frame(packet: bytes) -> bytes:
    """Return the first frame, or as much of it as there is (RFC 6716, 3.2)."""
    code = packet[0] & 3
    if code < 2:
        return packet[1:]
    if code == 2:
        return packet[1 + _length_bytes(packet, 1) :]
    if len(packet) < 2 or packet[1] & 0x3F == 0:
        return b""
    at = 2
    if packet[1] & 0x40:  # padding: 255 says 254, and that another byte follows
        while at < len(packet) and packet[at] == 255:
            at += 1
        at += 1
    if packet[1] & 0x80:  # lengths of all frames but the last
        for _ in range((packet[1] & 0x3F) - 1):
            at += _length_bytes(packet, at)
    return packet[at:]


def _length_bytes(packet: bytes, at: int) -> int:
    """Return how many bytes a frame's length takes at this place (RFC 6716, 3.2.1)."""
    return 2 if at < len(packet) and packet[at] >= 252 else 1
