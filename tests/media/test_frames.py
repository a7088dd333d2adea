import cv2
import numpy as np
import pytest

from assistant.config import LimitsConfig
from assistant.errors import MediaError
from assistant.media.frames import Frame, FrameStore, check_frame, frame_of_pixels, novelty
from assistant.media.image_header import ImageHeader
from tests.media.pictures import SAMPLES, encoded, picture, png

LIMITS = LimitsConfig()


def refusal(data: bytes, limits: LimitsConfig = LIMITS) -> str:
    with pytest.raises(MediaError) as raised:
        check_frame(data, limits)
    return raised.value.code


every_sample = pytest.mark.parametrize("name", SAMPLES)


@every_sample
def test_a_whole_picture_is_accepted(name: str) -> None:
    frame = check_frame(SAMPLES[name], LIMITS)
    assert frame.data is SAMPLES[name]
    assert (frame.header.width, frame.header.height) == (320, 240)
    assert frame.sharpness > 0.1
    assert frame.thumbnail.shape == (32, 32)
    assert frame.thumbnail.dtype == np.uint8


@every_sample
@pytest.mark.parametrize("lost", [1, 2, 3, 20, 0.3, 0.7, 0.98])
def test_a_truncated_picture_is_refused(name: str, lost: float) -> None:
    data = SAMPLES[name]
    num_lost = int(lost) if lost >= 1 else int(len(data) * lost)
    assert refusal(data[:-num_lost]) == "image_invalid"


def test_a_damaged_png_is_refused() -> None:
    data = bytearray(SAMPLES["png"])
    data[len(data) // 2] ^= 0x01
    assert refusal(bytes(data)) == "image_invalid"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"hello, I am a picture",
        b"GIF89a" + bytes(60),
        b"BM" + bytes(60),
        b"II*\x00" + bytes(60),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40),
    ],
)
def test_other_types_are_refused_by_their_first_bytes(data: bytes) -> None:
    assert refusal(data) == "unsupported_image_type"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\xff\xff",
        b"\xff\xd8\xff\xd9",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"RIFF\x04\x00\x00\x00WEBP",
        b"RIFF\x1c\x00\x00\x00WEBPVP8 \x10\x00\x00\x00" + bytes(16),
        png(0, 8),
        png(8, 8, b""),
    ],
)
def test_a_damaged_header_is_refused(data: bytes) -> None:
    assert refusal(data) == "image_invalid"


def test_a_picture_that_claims_too_many_pixels_is_refused_unseen() -> None:
    assert refusal(png(20_000, 20_000)) == "image_too_large"
    assert refusal(png(2**32 - 1, 2**32 - 1)) == "image_too_large"
    assert refusal(png(65, 64), LimitsConfig(image_pixels=4096)) == "image_too_large"


def test_the_bound_of_pixels_is_allowed() -> None:
    data = png(64, 64, bytes(65 * 64))
    assert check_frame(data, LimitsConfig(image_pixels=4096)).header.width == 64


def test_too_many_bytes_are_refused_before_anything_is_read() -> None:
    assert refusal(bytes(2000), LimitsConfig(image_bytes=1024)) == "image_too_large"


def test_a_ribbon_is_refused() -> None:
    assert refusal(png(10_000, 1, bytes(10_001))) == "image_invalid"
    assert refusal(png(1, 10_000, bytes(20_000))) == "image_invalid"


def test_blur_lowers_the_sharpness_and_exposure_does_not_change_it() -> None:
    image = picture(640, 480)
    sharp = check_frame(encoded(".png", image), LIMITS).sharpness
    dim = check_frame(encoded(".png", image // 3), LIMITS).sharpness
    blurred = cv2.GaussianBlur(image, (0, 0), 8)
    soft = check_frame(encoded(".png", np.asarray(blurred, np.uint8)), LIMITS).sharpness
    assert dim == pytest.approx(sharp, rel=0.05)
    assert soft < sharp / 10


def test_a_blank_wall_is_not_sharp() -> None:
    blank = np.full((240, 320, 3), 120, np.uint8)
    assert check_frame(encoded(".png", blank), LIMITS).sharpness == 0.0


def test_sharpness_and_thumbnail_hardly_depend_on_the_camera_resolution() -> None:
    image = picture(2560, 1920)
    large = check_frame(encoded(".jpg", image), LIMITS)
    small = cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)
    other = check_frame(encoded(".jpg", np.asarray(small, np.uint8)), LIMITS)
    assert large.sharpness == pytest.approx(other.sharpness, rel=0.2)
    assert novelty(large.thumbnail, other.thumbnail) < 0.01


def test_novelty_is_the_mean_difference() -> None:
    black, white = np.zeros((32, 32), np.uint8), np.full((32, 32), 255, np.uint8)
    half = white.copy()
    half[:16] = 0
    assert novelty(black, black) == 0.0
    assert novelty(black, white) == 1.0
    assert novelty(white, half) == novelty(half, white) == 0.5


def stored(num_bytes: int, shade: int = 0) -> Frame:
    thumbnail = np.full((32, 32), shade, np.uint8)
    return Frame(bytes(num_bytes), ImageHeader("jpeg", 8, 6), 0.5, thumbnail)


def test_the_store_keeps_the_newest_frames_and_counts_the_rest() -> None:
    store = FrameStore(max_frames=2)
    metas = [store.add(stored(10 + at), captured_s=at) for at in range(4)]
    assert [meta.id for meta in metas] == [1, 2, 3, 4]
    assert store.metas() == metas[2:]
    assert len(store.get(4)) == 13
    assert (len(store), store.num_bytes, store.num_dropped) == (2, 25, 2)
    with pytest.raises(KeyError):
        store.get(2)


def test_the_store_is_bounded_in_bytes_but_keeps_the_newest() -> None:
    store = FrameStore(max_frames=9, max_bytes=100)
    for size in (40, 40, 40):
        store.add(stored(size), 0.0)
    assert (store.num_bytes, store.num_dropped) == (80, 1)
    store.add(stored(500), 0.0)
    assert [meta.id for meta in store.metas()] == [4]


def test_the_store_repeats_what_the_record_of_a_turn_needs() -> None:
    meta = FrameStore(4).add(stored(1), captured_s=2.5, timestamp_ms=17.0)
    assert (meta.captured_s, meta.sharpness, meta.timestamp_ms) == (2.5, 0.5, 17.0)
    assert (meta.width, meta.height) == (8, 6)


def test_the_store_compares_its_frames() -> None:
    store = FrameStore(4)
    dark, light = store.add(stored(1, 0), 0.0), store.add(stored(1, 51), 0.0)
    assert store.novelty(dark.id, light.id) == pytest.approx(0.2)


def test_clearing_is_not_dropping_and_ids_go_on() -> None:
    store = FrameStore(4)
    store.add(stored(5), 0.0)
    store.clear()
    assert (len(store), store.num_bytes, store.num_dropped) == (0, 0, 0)
    assert store.add(stored(5), 0.0).id == 2


def test_decoded_pixels_become_the_frame_that_their_jpeg_would_be() -> None:
    rgb = cv2.cvtColor(picture(640, 480), cv2.COLOR_BGR2RGB)
    made = frame_of_pixels(np.asarray(rgb, np.uint8))
    checked = check_frame(made.data, LimitsConfig())
    assert made.header == checked.header == ImageHeader("jpeg", 640, 480)
    assert made.sharpness == pytest.approx(checked.sharpness, rel=0.2)
    assert novelty(made.thumbnail, checked.thumbnail) < 0.01
