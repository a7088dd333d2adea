"""
Pictures for the SigLIP tower: untrusted bytes to RGB, RGB to crops and patch masks.

The arithmetic follows the model's original image processor (``processing_phi4mm.py``):
the picture is fitted into a grid of square crops, filled up with white on the right or
below, and looked at once more as a whole (the global crop). Knows nothing of the encoder.
"""

import io
import math
import warnings
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import PIL.ExifTags
import PIL.features
import PIL.Image
import torch
from torch.nn.functional import interpolate

from assistant.errors import MediaError

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
T = TypeVar("T", np.float32, np.bool_)

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What Pillow may try. Formats with an interpreter behind them (EPS) must stay out."""
if PIL.features.check("avif"):
    FORMATS += ("AVIF",)

UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the turn that undoes it (EXIF 2.32, tag 0x0112)."""

THINNEST_SIDE = 10 / 448
"""Least shorter side of a fitted picture, in crops; the original refuses < 10 of 448."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """What the tower sees of one picture: crop 0 is the global one, then row by row."""

    crops: Float32Array
    """[1 + rows * cols, 3, S, S] in [-1, 1]."""
    patch_masks: BoolArray
    """[1 + rows * cols, P, P]; False where a patch is nothing but filling."""
    grid: tuple[int, int]
    """Rows and columns of crops."""
    valid_rows: int
    """Rows of patches that show some of the picture, counted over the whole grid."""
    valid_cols: int
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a picture of a given size comes to lie in its grid of crops."""

    rows: int
    cols: int
    width: int
    """Of the resized picture, in pixels."""
    height: int
    valid_rows: int
    """Rows of patches that show some of the picture."""
    valid_cols: int
    num_tokens: int


def open_image(data: bytes, *, max_pixels: int) -> UInt8Array:
    """
    Decode one picture, the right way up and on white, to RGB [H, W, 3] uint8.

    The size is judged by the file's header, before any pixel is decoded.

    Raises:
        MediaError: ``image_too_large``, ``unsupported_image_type`` (neither Pillow nor
            OpenCV may read it) or ``image_invalid`` (cut short or corrupt).
    """
    # Pillow's warnings are about the sender's file: nobody here can act on them.
    with warnings.catch_warnings(action="ignore"):
        try:
            with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image.width, image.height, max_pixels)
                image.load()
                return _to_rgb(image)
        except MediaError:
            raise
        except PIL.Image.DecompressionBombError as error:
            raise MediaError("image_too_large", str(error)) from error
        except PIL.UnidentifiedImageError as error:
            if data[4:8] == b"ftyp" and b"avif" in data[8:64] and "AVIF" not in FORMATS:
                return _open_avif(data, max_pixels)
            raise MediaError(
                "unsupported_image_type",
                "no readable JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture",
            ) from error
        # Pillow lets through whatever a corrupt file makes its readers trip over:
        # OSError, SyntaxError, ValueError, struct.error, zlib.error, IndexError, ….
        except Exception as error:
            raise MediaError(
                "image_invalid", f"the picture cannot be decoded: {error}"
            ) from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise MediaError("image_invalid", f"the picture is {width} x {height} pixels")
    if width * height > max_pixels:
        raise MediaError(
            "image_too_large",
            f"the picture is {width} x {height} = {width * height} pixels, "
            f"{max_pixels} are allowed",
        )


def _to_rgb(image: PIL.Image.Image) -> UInt8Array:
    """Turn a decoded picture upright, to 8 bits and onto white: [H, W, 3]."""
    turn = UPRIGHT.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode == "I" or image.mode.startswith("I;16"):
        gray = np.asarray(image).astype(np.int64).clip(0, 65535) // 257
        return np.repeat(gray.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise MediaError("unsupported_image_type", "pictures of floats have no known range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        image = PIL.Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _orientation(image: PIL.Image.Image) -> int:
    """Return the EXIF orientation; 1 (upright) where EXIF is absent or unreadable."""
    try:
        value = image.getexif().get(PIL.ExifTags.Base.Orientation, 1)
    # A picture whose pixels are fine is not refused for its metadata, and the parser
    # raises as freely as the decoders do.
    except Exception:
        return 1
    return value if isinstance(value, int) else 1


def _open_avif(data: bytes, max_pixels: int) -> UInt8Array:
    """Decode AVIF with OpenCV, which ignores transparency, where Pillow lacks it."""
    # Every item states its size in an ``ispe`` box (ISO/IEC 23008-12, 6.5.3):
    # type, version and flags, width, height; the picture is one of them or a grid of them.
    sizes = []
    start = data.find(b"ispe")
    while 0 <= start <= len(data) - 16:
        width, height = np.frombuffer(data, ">u4", count=2, offset=start + 8)
        sizes.append((int(width), int(height)))
        start = data.find(b"ispe", start + 4)
    if not sizes:
        raise MediaError("image_invalid", "the AVIF file does not state its size")
    for width, height in sizes:
        _check_size(width, height, max_pixels)
    if not cv2.haveImageWriter(".avif"):  # readers cannot be asked; they come together
        raise MediaError("unsupported_image_type", "this build of OpenCV lacks AVIF")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MediaError(
            "image_invalid", f"the picture cannot be decoded: {error}"
        ) from error
    if bgr is None:
        raise MediaError("image_invalid", "the AVIF picture cannot be decoded")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def choose_grid(
    width: int, height: int, max_crops: int, image_size: int
) -> tuple[int, int]:
    """
    Return (rows, cols) of the grid of crops for a picture of ``width`` x ``height``.

    As many crops as cover it unscaled; if those are more than ``max_crops``, the allowed
    grid of the most similar shape, and of equally similar ones the largest that the
    picture fills at least by half.
    """
    rows, cols = -(-height // image_size), -(-width // image_size)
    if rows * cols <= max_crops:
        return rows, cols
    grids = (
        (rows, cols)
        for rows in range(1, max_crops + 1)
        for cols in range(1, max_crops // rows + 1)
    )
    best, least = (1, 1), math.inf
    # The order of grids of equal area is left to chance in the original, and may be: two
    # of them are never both the most similar, there is a third between them.
    for rows, cols in sorted(grids, key=math.prod):
        difference = abs(width / height - cols / rows)
        half_filled = 2 * width * height > image_size * image_size * rows * cols
        if difference < least or (difference == least and half_filled):
            best, least = (rows, cols), difference
    return best


def fit(width: int, height: int, max_crops: int, image_size: int, patch_size: int) -> Fit:
    """
    Lay a picture of ``width`` x ``height`` pixels into at most ``max_crops`` crops.

    Raises:
        MediaError: ``image_invalid``, it is too long and thin to be seen.
    """
    patches = image_size // patch_size
    rows, cols = choose_grid(width, height, max_crops, image_size)
    # Quotients first: the original's roundings decide between two heights at times.
    scale_x, scale_y = cols * image_size / width, rows * image_size / height
    if scale_x < scale_y:
        new_width, new_height = cols * image_size, int(height * scale_x)
    else:
        new_width, new_height = int(width * scale_y), rows * image_size
    if min(new_width, new_height) < THINNEST_SIDE * image_size:
        raise MediaError(
            "image_invalid", f"{width} x {height} is too long and thin a picture"
        )
    valid_rows = rows * patches - (rows * image_size - new_height) // patch_size
    valid_cols = cols * patches - (cols * image_size - new_width) // patch_size
    # Pooled 2 x 2, and a separator after each row; then a separator, then the global crop.
    sub_rows, sub_cols, side = -(-valid_rows // 2), -(-valid_cols // 2), patches // 2
    return Fit(
        rows=rows,
        cols=cols,
        width=new_width,
        height=new_height,
        valid_rows=valid_rows,
        valid_cols=valid_cols,
        num_tokens=sub_rows * (sub_cols + 1) + 1 + side * (side + 1),
    )


def num_image_tokens(
    width: int, height: int, max_crops: int, image_size: int = 448, patch_size: int = 14
) -> int:
    """
    Return how many tokens a picture of this size takes in the prompt.

    Raises:
        MediaError: ``image_invalid``, it is too long and thin to be seen.
    """
    return fit(width, height, max_crops, image_size, patch_size).num_tokens


def prepare_image(
    rgb: UInt8Array, max_crops: int, image_size: int, patch_size: int
) -> PreparedImage:
    """
    Cut a picture [H, W, 3] uint8 into crops and say which patches show some of it.

    Raises:
        MediaError: ``image_invalid``, it is too long and thin to be seen.
    """
    height, width, _ = rgb.shape
    place = fit(width, height, max_crops, image_size, patch_size)
    size = (place.width, place.height)
    picture = PIL.Image.fromarray(rgb)
    if picture.size != size:
        picture = picture.resize(size, PIL.Image.Resampling.BILINEAR)

    canvas = np.ones((3, place.rows * image_size, place.cols * image_size), np.float32)
    shown = canvas[:, : place.height, : place.width]  # the rest stays white
    np.multiply(np.asarray(picture).transpose(2, 0, 1), np.float32(1 / 127.5), out=shown)
    shown -= 1

    patches = image_size // patch_size
    mask = np.zeros((place.rows * patches, place.cols * patches), np.bool_)
    mask[: place.valid_rows, : place.valid_cols] = True

    num_crops = 1 + place.rows * place.cols
    crops = np.empty((num_crops, 3, image_size, image_size), np.float32)
    crops[0] = _global_crop(canvas, image_size)
    patch_masks = np.ones((num_crops, patches, patches), np.bool_)
    for crop, (row, col) in enumerate(np.ndindex(place.rows, place.cols), start=1):
        crops[crop] = _tile(canvas, row, col, image_size)
        patch_masks[crop] = _tile(mask, row, col, patches)
    return PreparedImage(
        crops=crops,
        patch_masks=patch_masks,
        grid=(place.rows, place.cols),
        valid_rows=place.valid_rows,
        valid_cols=place.valid_cols,
        num_tokens=place.num_tokens,
    )


def _tile(canvas: npt.NDArray[T], row: int, col: int, size: int) -> npt.NDArray[T]:
    """Cut the square at a place of the grid out of [..., h, w]."""
    return canvas[..., row * size : (row + 1) * size, col * size : (col + 1) * size]


def _global_crop(canvas: Float32Array, image_size: int) -> Float32Array:
    """Shrink the filled-up picture [3, h, w] to one crop [3, S, S]."""
    if canvas.shape[1:] == (image_size, image_size):
        return canvas
    shrunk: Float32Array = interpolate(
        torch.from_numpy(canvas)[None],
        size=(image_size, image_size),
        mode="bicubic",
        align_corners=False,
    )[0].numpy()
    return shrunk
