"""
Pixels: what a picture is, whether it may come in, and the ring of a camera's frames.

Knows pixels; not turns or sockets. A picture is judged by its header before anything is
decoded, so a 48 KB file that claims 400 megapixels costs microseconds.

``check_frame`` takes about 1 ms for a 640x480 JPEG and 100 ms for the largest photo, most
of it in the decoder, which releases the GIL: run it in a thread for anything but small
camera frames.
"""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from assistant.config import LimitsConfig
from assistant.errors import MediaError
from assistant.media.image_header import ImageHeader, is_whole, probe_image
from assistant.turns.pairing import FrameMeta

Grey = npt.NDArray[np.uint8]
"""uint8 [H, W], luminance."""
Rgb = npt.NDArray[np.uint8]
"""uint8 [H, W, 3]."""

THUMBNAIL_SIDE = 32
_SHARPNESS_SIDE = 320
"""Sharpness is judged at this length of the longer side, whatever the camera sends."""
_NOISE_VARIANCE = (2 / 255) ** 2
"""Added to a picture's variance, so that the noise of a blank wall is not sharpness."""
_MAX_RING_BYTES = 32 * 2**20
_QUALITY = 90
"""Of JPEGs made here: what a camera's encoder left is hardly touched."""


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
    if not is_whole(data, header.format):
        raise MediaError(
            "image_invalid", f"{header.format} picture is truncated or damaged"
        )
    grey = _decode_grey(data, longer)
    return Frame(data, header, _sharpness(grey), _thumbnail(grey))


def frame_of_pixels(rgb: Rgb) -> Frame:
    """
    Make a picture of decoded pixels: a JPEG, and what is measured of it.

    Takes 2 ms for 640x480; nothing is decoded, and the pixels are trusted.
    """
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert done
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    height, width = grey.shape
    header = ImageHeader("jpeg", width, height)
    return Frame(data.tobytes(), header, _sharpness(grey), _thumbnail(grey))


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
