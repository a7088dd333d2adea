"""
Pixels: what a picture is, whether it may come in, and the ring of a camera's frames.

Knows JPEG, PNG and WebP; not turns or sockets. A picture is judged by its header before
anything is decoded, so a 48 KB file that claims 400 megapixels costs microseconds.

``check_frame`` takes about 1 ms for a 640x480 JPEG and 100 ms for the largest photo, most
of it in the decoder, which releases the GIL: run it in a thread for anything but small
camera frames.
"""

import re
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from assistant.config import LimitsConfig
from assistant.errors import MediaError
from assistant.turns.pairing import FrameMeta

ImageFormat = Literal["jpeg", "png", "webp"]
Grey = npt.NDArray[np.uint8]
"""uint8 [H, W], luminance."""

THUMBNAIL_SIDE = 32
_SHARPNESS_SIDE = 320
"""Sharpness is judged at this length of the longer side, whatever the camera sends."""
_NOISE_VARIANCE = (2 / 255) ** 2
"""Added to a picture's variance, so that the noise of a blank wall is not sharpness."""
_MAX_RING_BYTES = 32 * 2**20

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three others in the range are tables (ITU-T T.81, B.1)."""
_JPEG_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Markers without a length: restarts and TEM."""
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker after entropy-coded data: 00 is stuffing, D0-D7 are restarts."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a picture says of itself."""

    format: ImageFormat
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A checked picture."""

    data: bytes
    """As it was sent."""
    header: ImageHeader
    sharpness: float
    """
    Variance of the Laplacian over the variance of the picture, both of its luminance at
    320 pixels on the longer side: dimensionless, so neither exposure nor contrast counts.
    Photos in focus have 0.05 to 2; motion blur over 2 % of the width divides it by five.
    """
    thumbnail: Grey
    """[32, 32]; what ``novelty`` compares."""


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


def check_frame(data: bytes, limits: LimitsConfig) -> Frame:
    """
    Accept a picture or say why not; bounds first, then whole, then decodable.

    Raises:
        MediaError: ``image_too_large``, too many bytes or pixels; ``image_invalid``,
            truncated, damaged or absurdly long and narrow; ``unsupported_image_type``.
    """
    if len(data) > limits.image_bytes:
        raise MediaError(
            "image_too_large",
            f"picture of {len(data)} bytes, at most {limits.image_bytes} are taken",
        )
    header = probe_image(data)
    num_pixels = header.width * header.height
    if num_pixels > limits.image_pixels:
        raise MediaError(
            "image_too_large",
            f"picture of {header.width}x{header.height} = {num_pixels} pixels, "
            f"at most {limits.image_pixels} are taken",
        )
    shorter, longer = sorted((header.width, header.height))
    if longer > limits.image_side_ratio * shorter:
        raise MediaError(
            "image_invalid",
            f"picture of {header.width}x{header.height}, one side may be at most "
            f"{limits.image_side_ratio:g} times the other",
        )
    # Decoders differ in whether they fill a missing rest with grey or refuse it.
    if not _IS_WHOLE[header.format](data):
        raise MediaError(
            "image_invalid", f"{header.format} picture is truncated or damaged"
        )
    grey = _decode_grey(data, longer)
    return Frame(data, header, _sharpness(grey), _thumbnail(grey))


def novelty(a: Grey, b: Grey) -> float:
    """Return how much two thumbnails differ: mean absolute difference, in [0, 1]."""
    return float(cv2.norm(a, b, cv2.NORM_L1)) / (255 * a.size)


class FrameStore:
    """
    The newest frames of a session, by id; ids count up from 1 and are never reused.

    Bounded in frames and in bytes: the oldest are dropped and counted. The newest frame
    always stays, whatever its size.
    """

    def __init__(self, max_frames: int, max_bytes: int = _MAX_RING_BYTES) -> None:
        assert max_frames > 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, tuple[FrameMeta, Frame]] = OrderedDict()
        self._next_id = 1
        self.num_bytes = 0
        self.num_dropped = 0

    def add(
        self, frame: Frame, captured_s: float, timestamp_ms: float | None = None
    ) -> FrameMeta:
        """Keep a frame captured at a session time; return what pairing needs of it."""
        header = frame.header
        meta = FrameMeta(
            self._next_id,
            captured_s,
            frame.sharpness,
            timestamp_ms,
            header.width,
            header.height,
        )
        self._next_id += 1
        self._kept[meta.id] = (meta, frame)
        self.num_bytes += len(frame.data)
        while len(self._kept) > self._max_frames or (
            self.num_bytes > self._max_bytes and len(self._kept) > 1
        ):
            _, (_, oldest) = self._kept.popitem(last=False)
            self.num_bytes -= len(oldest.data)
            self.num_dropped += 1
        return meta

    def metas(self) -> list[FrameMeta]:
        """Return the frames that are kept, in the order they came."""
        return [meta for meta, _ in self._kept.values()]

    def get(self, id: int) -> bytes:
        """Return the encoded picture of a kept frame."""
        return self._kept[id][1].data

    def novelty(self, a: int, b: int) -> float:
        """Return how much two kept frames differ, in [0, 1]."""
        return novelty(self._kept[a][1].thumbnail, self._kept[b][1].thumbnail)

    def clear(self) -> None:
        """Forget all frames; they do not count as dropped."""
        self._kept.clear()
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)


def _header(format: ImageFormat, width: int, height: int) -> ImageHeader:
    if width == 0 or height == 0:
        raise MediaError("image_invalid", f"picture of {width}x{height} pixels")
    return ImageHeader(format, width, height)


def _decode_grey(data: bytes, longer: int) -> Grey:
    """Decode to luminance, as small as the JPEG decoder can and both measures allow."""
    flag = cv2.IMREAD_GRAYSCALE
    for factor, reduced in (
        (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
        (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
        (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    ):
        if longer >= factor * _SHARPNESS_SIDE:
            flag = reduced
            break
    try:
        image = cv2.imdecode(
            np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error as error:
        raise MediaError("image_invalid", "picture cannot be decoded") from error
    if image is None:
        raise MediaError("image_invalid", "picture cannot be decoded")
    return np.asarray(image, np.uint8)


def _sharpness(grey: Grey) -> float:
    """Return the measure that ``Frame.sharpness`` documents."""
    height, width = grey.shape
    scale = min(1.0, _SHARPNESS_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    laplacian = cv2.Laplacian(small, cv2.CV_32F)
    return float(laplacian.var() / (small.var() + _NOISE_VARIANCE))


def _thumbnail(grey: Grey) -> Grey:
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


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
    return any(marker == 0xD9 for marker, _ in _jpeg_segments(data))


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
