from pathlib import Path

import numpy as np
import PIL.Image

from assistant.demo.photos import VARIANTS, read_photos, varied


def album(folder: Path, shades: range) -> Path:
    folder.mkdir()
    for shade in shades:
        pixels = np.full((300, 600, 3), shade, np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{shade}.png")
    (folder / "labels.tsv").write_text("file\n")
    return folder


def test_every_fourth_photo_of_a_folder_is_held_out(tmp_path: Path) -> None:
    folders = [album(tmp_path / "a", range(8)), album(tmp_path / "b", range(10, 13))]
    kept, held_out = read_photos(folders, lambda line: None)
    assert [int(photo[0, 0, 0]) for photo in held_out] == [0, 4, 10]
    assert len(kept) == 8
    assert kept[0].shape == (200, 400, 3)


def test_missing_photos_are_said() -> None:
    lines: list[str] = []
    assert read_photos([], lines.append) == ([], [])
    assert lines == ["absent: photos as backgrounds (give a folder)"]


def test_few_photos_become_many_different_ones_always_the_same() -> None:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (30, 40, 3), np.uint8) for _ in range(3)]
    several, again = varied(photos), varied(photos)
    assert len(several) == 3 * VARIANTS
    assert all(np.array_equal(a, b) for a, b in zip(several, again, strict=True))
    assert len({photo.tobytes() for photo in several}) == len(several)
    assert all(np.array_equal(a, b) for a, b in zip(several, photos, strict=False))
