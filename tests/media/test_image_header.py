import struct

import pytest

from assistant.errors import MediaError
from assistant.media.image_header import ImageHeader, is_whole, probe_image
from tests.media.pictures import FORMATS, SAMPLES, encoded, picture, png

every_sample = pytest.mark.parametrize("name", SAMPLES)


def whole(data: bytes) -> bool:
    return is_whole(data, probe_image(data).format)


@every_sample
def test_the_header_tells_format_and_size(name: str) -> None:
    header = probe_image(SAMPLES[name])
    assert header == ImageHeader(FORMATS.get(name, name), 320, 240)  # type: ignore[arg-type]  # a name is its format


@every_sample
def test_a_file_is_whole_with_its_last_byte_and_not_before(name: str) -> None:
    data = SAMPLES[name]
    assert whole(data)
    num_probed = 64 if data[:2] != b"\xff\xd8" else data.index(b"\xff\xda")
    for length in range(num_probed, len(data), max(1, len(data) // 50)):
        assert not whole(data[:length]), length
    assert not whole(data[:-1])


def test_a_truncated_jpeg_with_a_whole_preview_inside_is_refused() -> None:
    preview = encoded(".jpg", picture(32, 24))
    segment = b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview
    data = SAMPLES["jpeg"][:2] + segment + SAMPLES["jpeg"][2:]
    assert probe_image(data) == ImageHeader("jpeg", 320, 240)
    assert not whole(data[:-500])


def test_a_jpeg_of_very_many_scans_is_refused_unseen() -> None:
    data = SAMPLES["progressive"]
    start = data.index(b"\xff\xda")
    scan = data[start : data.index(b"\xff", start + 2)]
    bomb = data[:-2] + scan * 200 + data[-2:]
    assert not whole(bomb)


def test_what_follows_the_end_of_a_picture_is_ignored() -> None:
    for name in ("jpeg", "png", "webp"):
        assert whole(SAMPLES[name] + b"trailing notes of a camera")


@pytest.mark.parametrize("data", [b"", b"BM" + bytes(60), b"<svg/>", b"%!PS-Adobe-3.0"])
def test_other_types_have_no_header(data: bytes) -> None:
    with pytest.raises(MediaError) as refusal:
        probe_image(data)
    assert refusal.value.code == "unsupported_image_type"


def test_a_header_is_believed_about_any_size() -> None:
    assert probe_image(png(2**31, 3)) == ImageHeader("png", 2**31, 3)
