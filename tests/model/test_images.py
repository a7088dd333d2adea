import io
import itertools
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import torch

from assistant.errors import MediaError
from assistant.model import images
from assistant.model.images import (
    choose_grid,
    fit,
    num_image_tokens,
    open_image,
    prepare_image,
)
from tests.rounds import rounds

DATA = Path(__file__).parents[1] / "data"
PICTURES = ("bottles", "webcam_person_a", "conveyor_orange", "sign_stop_line_ja")
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MANY = 10**6


def gradient(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return a picture [height, width, 3] without any symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack(
        [x * 255 // width, y * 255 // height, (x + 2 * y) % 256], axis=2
    ).astype(np.uint8)


def encoded(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refusal(data: bytes, max_pixels: int = MANY) -> str:
    """Return the code with which a file is refused."""
    with pytest.raises(MediaError) as error:
        open_image(data, max_pixels=max_pixels)
    return error.value.code


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [("PNG", 0), ("BMP", 0), ("TIFF", 0), ("JPEG", 12), ("WEBP", 24), ("AVIF", 24)],
)
def test_formats_are_read_as_rgb(kind: str, tolerance: int) -> None:
    picture = np.dstack([gradient(60, 40)[:, :, :2], np.full((40, 60), 90, np.uint8)])
    data = encoded(PIL.Image.fromarray(picture), kind, quality=95)
    rgb = open_image(data, max_pixels=MANY)
    assert rgb.shape == (40, 60, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert np.abs(rgb.astype(int) - picture).max() <= tolerance


def test_the_first_picture_of_an_animation_is_read() -> None:
    red, blue = (PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue"))
    data = encoded(red, "GIF", save_all=True, append_images=[blue])
    assert open_image(data, max_pixels=MANY)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(kind: str, orientation: int) -> None:
    upright = PIL.Image.fromarray(gradient(48, 32))
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]
    stored = upright if undo is None else upright.transpose(PIL.Image.Transpose(undo))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    rgb = open_image(encoded(stored, kind, exif=exif), max_pixels=MANY)
    difference = np.abs(rgb.astype(int) - np.asarray(upright))
    assert difference.mean() < 12


def test_unreadable_exif_does_not_matter() -> None:
    data = encoded(PIL.Image.fromarray(gradient(48, 32)), "JPEG", exif=b"Exif\0\0nonsense")
    assert open_image(data, max_pixels=MANY).shape == (32, 48, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (4, 0, 8, 8))
    rgb = open_image(encoded(image.convert(mode), "PNG"), max_pixels=MANY)
    assert rgb[4, 1].tolist() == [0, 0, 0]
    assert rgb[4, 6].tolist() == [255, 255, 255]


def test_what_is_half_transparent_lets_white_through() -> None:
    data = encoded(PIL.Image.new("RGBA", (8, 8), (200, 0, 0, 128)), "PNG")
    rgb = open_image(data, max_pixels=MANY)
    assert np.abs(rgb[4, 4].astype(int) - [227, 127, 127]).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_keeps_its_high_bits(kind: str) -> None:
    levels = np.linspace(0, 65535, 256).astype(np.uint16).repeat(4).reshape(16, 64)
    rgb = open_image(encoded(PIL.Image.fromarray(levels), kind), max_pixels=MANY)
    assert rgb.shape == (16, 64, 3)
    assert np.abs(rgb - (levels // 257)[:, :, None].astype(int)).max() == 0


def test_print_colours_become_screen_colours() -> None:
    data = encoded(PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    assert (
        np.abs(open_image(data, max_pixels=MANY)[8, 8].astype(int) - [255, 0, 0]).max() < 8
    )


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_gray_and_palette_become_rgb(mode: str) -> None:
    data = encoded(PIL.Image.new("L", (8, 8), 255).convert(mode), "PNG")
    assert (open_image(data, max_pixels=MANY) == 255).all()


def test_floats_are_refused() -> None:
    data = encoded(PIL.Image.new("F", (8, 8), 0.5), "TIFF")
    assert refusal(data) == "unsupported_image_type"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"%PDF-1.4\n",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>',
        b"P6\n2 2\n255\n" + bytes(12),
    ],
)
def test_other_formats_are_never_tried(data: bytes) -> None:
    assert refusal(data) == "unsupported_image_type"


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_files_are_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)
    data = encoded(PIL.Image.fromarray(noise), kind)
    assert refusal(data[: len(data) // 2]) in ("image_invalid", "unsupported_image_type")
    assert refusal(data[: len(data) * 9 // 10]) == "image_invalid"


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises a size and then ends."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + check + b"\0\0\1\0IDAT"


@pytest.mark.parametrize("side", [1001, 10_000, 60_000, 2**31 - 1])
def test_the_size_is_judged_before_anything_is_decoded(side: int) -> None:
    assert refusal(png_header(side, 1000)) == "image_too_large"


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_exactly_the_allowed_size_is_read(kind: str) -> None:
    data = encoded(PIL.Image.fromarray(gradient(60, 40)), kind)
    assert open_image(data, max_pixels=60 * 40).shape == (40, 60, 3)
    assert refusal(data, max_pixels=60 * 40 - 1) == "image_too_large"


def test_avif_is_read_where_pillow_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(PIL.Image.fromarray(gradient(60, 40)), "AVIF", quality=95)
    by_pillow = open_image(data, max_pixels=60 * 40)
    monkeypatch.setattr(images, "FORMATS", ["PNG"])
    rgb = open_image(data, max_pixels=60 * 40)
    assert np.abs(rgb.astype(int) - by_pillow).max() <= 3
    assert refusal(data, max_pixels=60 * 40 - 1) == "image_too_large"
    assert refusal(data[:-100]) == "image_invalid"
    huge = data.replace(struct.pack(">II", 60, 40), struct.pack(">II", 60_000, 40_000))
    assert refusal(huge) == "image_too_large"
    assert refusal(data.replace(b"ispe", b"free")) == "image_invalid"


@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_files_are_read_or_refused_and_nothing_else(kind: str) -> None:
    generator = np.random.default_rng(0)
    whole = np.frombuffer(encoded(PIL.Image.fromarray(gradient(24, 16)), kind), np.uint8)
    for _ in range(60):
        data = whole.copy()
        where = generator.integers(0, len(data), 4)
        data[where] = generator.integers(0, 256, 4)
        try:
            rgb = open_image(data.tobytes(), max_pixels=MANY)
        except MediaError:
            continue
        assert rgb.ndim == 3
        assert rgb.shape[2] == 3


@pytest.mark.parametrize(
    ("width", "height", "max_crops", "grid", "num_tokens"),
    [
        (224, 224, 1, (1, 1), 545),
        (640, 480, 1, (1, 1), 477),
        (640, 480, 4, (2, 2), 1065),
        (480, 640, 2, (2, 1), 647),
        (1280, 720, 1, (1, 1), 426),
        (1280, 720, 2, (1, 2), 753),
        (1280, 720, 8, (2, 3), 1596),
        (1024, 768, 8, (2, 3), 1681),
        (1280, 960, 16, (3, 3), 2037),
        (1920, 1080, 16, (3, 5), 3918),
        (1920, 1080, 8, (2, 4), 2129),
    ],
)
def test_token_counts_of_common_frames(
    width: int, height: int, max_crops: int, grid: tuple[int, int], num_tokens: int
) -> None:
    assert choose_grid(width, height, max_crops, 448) == grid
    assert num_image_tokens(width, height, max_crops) == num_tokens


@pytest.mark.parametrize(("width", "height"), [(1, 45), (448, 9), (4000, 89), (10, 10_000)])
def test_pictures_too_thin_to_be_seen_are_refused(width: int, height: int) -> None:
    with pytest.raises(MediaError, match="long and thin") as error:
        num_image_tokens(width, height, 1)
    assert error.value.code == "image_invalid"
    assert num_image_tokens(448, 10, 1) == 17 + 1 + 272  # the thinnest


def sizes(count: int) -> list[tuple[int, int]]:
    generator = np.random.default_rng(0)
    drawn = np.exp(generator.uniform(math.log(60), math.log(2600), (count, 2))).astype(int)
    return [(int(w), int(h)) for w, h in drawn]


def mask_by_definition(
    width: int, height: int, max_crops: int
) -> tuple[tuple[int, int], tuple[int, int], npt.NDArray[np.float64]]:
    """Follow the original step by step: (cols, rows), resized size, patch mask."""
    pairs = itertools.product(range(1, max_crops + 1), repeat=2)
    ratios = {(i, j) for i, j in pairs if i * j <= max_crops}
    cols, rows = math.ceil(width / 448.0), math.ceil(height / 448.0)
    if cols * rows > max_crops:
        nearest = float("inf")
        for i, j in sorted(ratios, key=lambda ratio: ratio[0] * ratio[1]):
            distance = abs(width / height - i / j)
            if distance < nearest:
                nearest, cols, rows = distance, i, j
            elif distance == nearest and width * height > 0.5 * 448 * 448 * i * j:
                cols, rows = i, j
    ratio_width, ratio_height = 448 * cols / width, 448 * rows / height
    if ratio_width < ratio_height:
        size = (448 * cols, int(height * ratio_width))
    else:
        size = (int(width * ratio_height), 448 * rows)
    mask = np.ones((32 * rows, 32 * cols))
    filled_width, filled_height = 448 * cols - size[0], 448 * rows - size[1]
    if filled_width >= 14:
        mask[:, -math.floor(filled_width / 14) :] = 0
    if filled_height >= 14:
        mask[-math.floor(filled_height / 14) :, :] = 0
    return (cols, rows), size, mask


@rounds(30, 200)
@pytest.mark.parametrize("max_crops", [1, 2, 4, 8, 16, 36])
def test_tokens_are_those_of_the_original_for_any_size(max_crops: int, rounds: int) -> None:
    for width, height in sizes(rounds):
        (cols, rows), size, mask = mask_by_definition(width, height, max_crops)
        if min(size) < 10:
            continue
        pooled = mask[::2, ::2]
        expected = 256 + 1 + int(pooled.sum()) + int(pooled[:, 0].sum()) + 16
        place = fit(width, height, max_crops, 448, 14)
        assert (place.cols, place.rows) == (cols, rows)
        assert (place.width, place.height) == size
        assert num_image_tokens(width, height, max_crops) == expected


@pytest.mark.parametrize(
    ("name", "max_crops"),
    [
        *((name, 1) for name in PICTURES),
        (PICTURES[0], 4),
        *(pytest.param(n, 4, marks=pytest.mark.parity) for n in PICTURES[1:]),
        *(pytest.param(name, 9, marks=pytest.mark.parity) for name in PICTURES),
    ],
)
def test_crops_are_those_of_the_original(name: str, max_crops: int) -> None:
    (file,) = DATA.glob(f"{name}.*")
    rgb = open_image(file.read_bytes(), max_pixels=MANY * 2)
    height, width, _ = rgb.shape
    (cols, rows), size, mask = mask_by_definition(width, height, max_crops)
    canvas = PIL.Image.new("RGB", (448 * cols, 448 * rows), (255, 255, 255))
    canvas.paste(PIL.Image.fromarray(rgb).resize(size, PIL.Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(np.array(canvas)).permute(2, 0, 1).float()
    pixels = (pixels / 255 - 0.5) / 0.5
    whole = torch.nn.functional.interpolate(pixels[None], size=(448, 448), mode="bicubic")
    tiles = pixels.reshape(3, rows, 448, cols, 448).permute(1, 3, 0, 2, 4).flatten(0, 1)
    masks = mask.reshape(rows, 32, cols, 32).swapaxes(1, 2).reshape(-1, 32, 32)

    image = prepare_image(rgb, max_crops, 448, 14)
    assert image.grid == (rows, cols)
    assert image.crops.dtype == np.float32
    assert np.abs(image.crops - torch.cat([whole, tiles]).numpy()).max() < 1e-4
    assert image.patch_masks.dtype == np.bool_
    assert image.patch_masks[0].all()
    assert np.array_equal(image.patch_masks[1:], masks == 1)
    assert (image.valid_rows, image.valid_cols) == (mask[:, 0].sum(), mask[0].sum())
    assert image.num_tokens == num_image_tokens(width, height, max_crops)


def test_a_grid_of_one_crop_is_its_own_global_crop() -> None:
    """What lets the encoder encode a square frame once."""
    image = prepare_image(gradient(64, 48), 1, 56, 14)
    assert np.array_equal(image.crops[0], image.crops[1])


def test_filling_is_white() -> None:
    image = prepare_image(np.zeros((28, 56, 3), np.uint8), 1, 56, 14)
    assert (image.crops[1][:, :28] == -1).all()
    assert (image.crops[1][:, 28:] == 1).all()
    assert image.patch_masks[1].tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
