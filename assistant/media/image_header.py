"""
What a JPEG, PNG or WebP file says of itself: format, size, and whether all of it is there.

Nothing is decoded here. Other types are refused by their first bytes, whatever a decoder
on this machine would do with them.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assistant.errors import MediaError

ImageFormat = Literal["jpeg", "png", "webp"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three others in the range are tables (ITU-T T.81, B.1)."""
_JPEG_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers without a length: restarts and TEM."""
_MAX_JPEG_SCANS = 64
"""
Encoders write up to a dozen. Every scan of a progressive JPEG visits every block of the
picture, so a small file with thousands of empty ones would occupy a core for minutes.
"""
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker after entropy-coded data: 00 is stuffing, D0-D7 are restarts."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a picture says of itself."""

    format: ImageFormat
    width: int
    height: int


def probe_image(data: bytes) -> ImageHeader:
    """
    Read format and size from the header; nothing is decoded.

    Raises:
        MediaError: ``unsupported_image_type``, not JPEG, PNG or WebP; ``image_invalid``,
            the header is damaged.
    """
    if data.startswith(b"\xff\xd8\xff"):
        for marker, body in _jpeg_segments(data):
            if marker in _JPEG_SIZES and len(body) >= 5:
                height, width = struct.unpack_from(">HH", body, 1)
                return _header("jpeg", width, height)
        raise MediaError("image_invalid", "JPEG without a size")
    if data.startswith(_PNG_SIGNATURE):
        if data[12:16] != b"IHDR" or len(data) < 24:
            raise MediaError("image_invalid", "PNG without a size")
        return _header("png", *struct.unpack_from(">II", data, 16))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _header("webp", *_webp_size(data))
    raise MediaError("unsupported_image_type", "picture is not JPEG, PNG or WebP")


def is_whole(data: bytes, format: ImageFormat) -> bool:
    """Say whether a file goes on to its end and, as far as it tells, undamaged."""
    return _IS_WHOLE[format](data)


def _header(format: ImageFormat, width: int, height: int) -> ImageHeader:
    if width == 0 or height == 0:
        raise MediaError("image_invalid", f"picture of {width}x{height} pixels")
    return ImageHeader(format, width, height)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """
    Yield (marker, body) of a JPEG's segments, through all scans, up to EOI or damage.

    ITU-T T.81, B.1. Embedded previews lie inside bodies, so their ends are not ours.
    """
    at = 2
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            yield marker, b""
            return
        if marker in _JPEG_BARE:
            continue
        if at + 2 > len(data):
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            return
        yield marker, data[at + 2 : at + length]
        at += length
        if marker == 0xDA:
            found = _JPEG_SCAN_END.search(data, at)
            if found is None:
                return
            at = found.start()


def _jpeg_is_whole(data: bytes) -> bool:
    num_scans = 0
    for marker, _ in _jpeg_segments(data):
        num_scans += marker == 0xDA
        if num_scans > _MAX_JPEG_SCANS:
            return False
        if marker == 0xD9:
            return True
    return False


def _png_is_whole(data: bytes) -> bool:
    """Follow the chunks to IEND, with their checksums."""
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            return False
        body = data[at + 4 : end - 4]
        if zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            return False
        if body.startswith(b"IEND"):
            return True
        at = end
    return False


def _webp_is_whole(data: bytes) -> bool:
    return len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) from the first chunk (RFC 9649, 2.5-2.7; RFC 6386, 9.1)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) == 10:
        if chunk == b"VP8X":
            return (
                int.from_bytes(body[4:7], "little") + 1,
                int.from_bytes(body[7:10], "little") + 1,
            )
        if chunk == b"VP8L" and body[0] == 0x2F:
            bits = int.from_bytes(body[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", body, 6)
            return width & 0x3FFF, height & 0x3FFF
    raise MediaError("image_invalid", "WebP without a size")


_IS_WHOLE = {"jpeg": _jpeg_is_whole, "png": _png_is_whole, "webp": _webp_is_whole}
