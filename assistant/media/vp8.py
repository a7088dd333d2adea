"""
PURE: VP8 as it travels in RTP (RFC 7741), and what a frame says of itself (RFC 6386, 9.1).
"""

from assistant.media.frame_assembly import DAMAGED, Fragment

START_CODE = b"\x9d\x01\x2a"
_EXTENDED, _START, _PARTITION = 0x80, 0x10, 0x07
_PICTURE_ID, _LEVEL_ZERO, _LAYER, _KEY_INDEX = 0x80, 0x40, 0x20, 0x10
_INTER_FRAME = 0x01


def depacketise(payload: bytes) -> Fragment | None:
    """Remove the payload descriptor (RFC 7741, 4.2); None if there is no more than that."""
    if not payload:
        return Fragment(b"", starts=False, is_key=False)
    at = 1
    if payload[0] & _EXTENDED:
        if len(payload) < 3:
            return None
        extension = payload[1]
        at = 2
        if extension & _PICTURE_ID:
            at += 2 if payload[at] & 0x80 else 1
        at += bool(extension & _LEVEL_ZERO) + bool(extension & (_LAYER | _KEY_INDEX))
    if at >= len(payload):
        return None
    starts = bool(payload[0] & _START) and not payload[0] & _PARTITION
    is_key = starts and not payload[at] & _INTER_FRAME
    return Fragment(payload[at:], starts, is_key)


def is_key(frame: bytes) -> bool:
    """Say whether a frame needs no other one."""
    return bool(frame) and not frame[0] & _INTER_FRAME


def size(frame: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that a frame gives, None if none, or ``DAMAGED``."""
    if not is_key(frame):
        return None
    if len(frame) < 10 or frame[3:6] != START_CODE:
        return DAMAGED
    # The two upper bits ask the viewer to scale; the picture is not larger by that.
    width = int.from_bytes(frame[6:8], "little") & 0x3FFF
    height = int.from_bytes(frame[8:10], "little") & 0x3FFF
    return (width, height) if width and height else DAMAGED
