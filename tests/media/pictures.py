"""Pictures as files: every kind that is taken, and PNG files whose header lies."""

import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


def picture(width: int = 320, height: int = 240, seed: int = 0) -> Picture:
    """Blocks of random colours: sharp edges, and different for every seed."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (12, 16, 3), np.uint8)
    size = (width, height)
    return np.asarray(cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def encoded(extension: str, image: Picture | None = None, *options: int) -> bytes:
    image = picture() if image is None else image
    return cv2.imencode(extension, image, list(options))[1].tobytes()


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """Write a PNG of grey pixels by hand, whatever its header claims."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


LOSSLESS_WEBP = (cv2.IMWRITE_WEBP_QUALITY, 101)
SAMPLES = {
    "jpeg": encoded(".jpg"),
    "progressive": encoded(".jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", None, cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "png": encoded(".png"),
    "webp": encoded(".webp", None, cv2.IMWRITE_WEBP_QUALITY, 80),
    "lossless": encoded(".webp", None, *LOSSLESS_WEBP),
    "alpha": encoded(".webp", np.dstack([picture(), picture()[:, :, 0]])),
}
FORMATS = {"progressive": "jpeg", "restarts": "jpeg", "lossless": "webp", "alpha": "webp"}
