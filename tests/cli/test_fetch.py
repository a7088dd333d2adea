"""A download survives interruptions, trusts no bytes, and is whole or not there."""

import io
import json
import shutil
from pathlib import Path

import pytest

from assistant.cli.fetch import MANIFEST, Fetch
from assistant.cli.progress import Progress
from assistant.errors import CommandError
from tests.cli.fake_hub import COMMIT, FakeHub, serving

WEIGHTS = bytes(range(256)) * 40
FILES = {
    "config.json": b'{"model_type": "phi4mm"}',
    "model.safetensors": WEIGHTS,
    "speech-lora/adapter_config.json": b"{}",
    "modeling.py": b"evil()",
}
WANTED = {name: content for name, content in FILES.items() if name != "modeling.py"}


class Fetching:
    """A fetch of org/name with its waits and its words recorded."""

    def __init__(self, hub: FakeHub, token: str = "") -> None:
        self.slept: list[float] = []
        self.said = io.StringIO()
        self.fetch = Fetch(
            "org/name",
            "main",
            endpoint=hub.address,
            token=token,
            progress=Progress(self.said),
            sleep=self.slept.append,
        )

    def run(self, folder: Path) -> None:
        self.fetch.run(folder)


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != MANIFEST
    }


def downloads(hub: FakeHub) -> list[str]:
    return [path.split(f"{COMMIT}/")[1] for path, _, _ in hub.asked if COMMIT in path]


def test_everything_that_a_checkpoint_needs_arrives_and_config_comes_last(
    tmp_path: Path,
) -> None:
    with serving(FakeHub(FILES)) as hub:
        Fetching(hub).run(tmp_path / "model")
    assert content_of(tmp_path / "model") == WANTED
    assert downloads(hub)[-1] == "config.json"


def test_a_second_run_downloads_nothing(tmp_path: Path) -> None:
    with serving(FakeHub(FILES)) as hub:
        Fetching(hub).run(tmp_path)
        hub.asked.clear()
        again = Fetching(hub)
        again.run(tmp_path)
    assert downloads(hub) == []
    assert "complete" in again.said.getvalue()


def test_an_interrupted_file_is_continued_where_it_broke_off(tmp_path: Path) -> None:
    with serving(FakeHub(FILES, cut_after_bytes=[1000, 2000])) as hub:
        fetching = Fetching(hub)
        fetching.run(tmp_path)
    assert content_of(tmp_path) == WANTED
    asked = [wanted for path, wanted, _ in hub.asked if path.endswith("model.safetensors")]
    assert asked == ["", "bytes=1000-", "bytes=3000-"]
    assert fetching.slept == [1.0, 1.0]


def test_a_later_run_continues_what_an_earlier_one_left(tmp_path: Path) -> None:
    cuts = [1000] + [0] * 20
    with serving(FakeHub(FILES, cut_after_bytes=cuts)) as hub:
        fetching = Fetching(hub)
        with pytest.raises(CommandError, match="gave up after 6 attempts"):
            fetching.run(tmp_path)
        assert fetching.slept == [1.0, 2.0, 4.0, 8.0, 16.0]
        assert "config.json" not in content_of(tmp_path)
        hub.cut_after_bytes.clear()
        hub.asked.clear()
        Fetching(hub).run(tmp_path)
    assert content_of(tmp_path) == WANTED
    assert [wanted for _, wanted, _ in hub.asked if wanted] == ["bytes=1000-"]


def test_a_hub_without_ranges_starts_over(tmp_path: Path) -> None:
    with serving(FakeHub(FILES, cut_after_bytes=[1000], has_ranges=False)) as hub:
        Fetching(hub).run(tmp_path)
    assert content_of(tmp_path) == WANTED


@pytest.mark.parametrize("name", ["model.safetensors", "speech-lora/adapter_config.json"])
def test_a_file_with_a_wrong_digest_is_never_kept(tmp_path: Path, name: str) -> None:
    wrong = bytes(len(FILES[name]))
    hub = FakeHub(FILES, sent_instead={name: wrong})
    with serving(hub), pytest.raises(CommandError, match="wrong digest"):
        Fetching(hub).run(tmp_path)
    left = content_of(tmp_path)
    assert "config.json" not in left
    assert wrong not in left.values()
    assert not any(file.endswith(".part") for file in left)


def test_a_damaged_part_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    with serving(FakeHub(FILES, cut_after_bytes=[1000] + [0] * 20)) as hub:
        with pytest.raises(CommandError):
            Fetching(hub).run(tmp_path)
        (part,) = tmp_path.glob("*.part")
        part.write_bytes(bytes(1000))
        hub.cut_after_bytes.clear()
        Fetching(hub).run(tmp_path)
    assert content_of(tmp_path) == WANTED


def test_more_bytes_than_listed_are_not_written(tmp_path: Path) -> None:
    longer = {"model.safetensors": WEIGHTS + b"more"}
    hub = FakeHub(FILES, sent_instead=longer)
    with serving(hub), pytest.raises(CommandError, match="than the 10240 bytes listed"):
        Fetching(hub).run(tmp_path)


def test_a_new_revision_replaces_only_what_changed(tmp_path: Path) -> None:
    with serving(FakeHub(FILES)) as hub:
        Fetching(hub).run(tmp_path)
        hub.asked.clear()
        hub.files = {**FILES, "model.safetensors": b"new"}
        Fetching(hub).run(tmp_path)
    assert content_of(tmp_path) == {**WANTED, "model.safetensors": b"new"}
    assert downloads(hub) == ["model.safetensors", "config.json"]


def test_a_file_that_lost_bytes_is_fetched_again_without_a_manifest(tmp_path: Path) -> None:
    with serving(FakeHub(FILES)) as hub:
        Fetching(hub).run(tmp_path)
        (tmp_path / MANIFEST).write_text("[]")
        (tmp_path / "model.safetensors").write_bytes(bytes(len(WEIGHTS)))
        hub.asked.clear()
        Fetching(hub).run(tmp_path)
    assert content_of(tmp_path) == WANTED
    assert "model.safetensors" in downloads(hub)


def test_the_manifest_names_model_and_commit(tmp_path: Path) -> None:
    with serving(FakeHub(FILES)) as hub:
        Fetching(hub).run(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert (manifest["model"], manifest["commit"]) == ("org/name", COMMIT)
    assert set(manifest["files"]) == set(WANTED)


def test_a_busy_hub_is_asked_again(tmp_path: Path) -> None:
    with serving(FakeHub(FILES, statuses=[503, 429])) as hub:
        fetching = Fetching(hub)
        fetching.run(tmp_path)
    assert fetching.slept == [1.0, 2.0]
    assert content_of(tmp_path) == WANTED


def test_a_full_disk_is_said_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with serving(FakeHub(FILES)) as hub, pytest.raises(CommandError, match="10 B are free"):
        Fetching(hub).run(tmp_path)
    assert downloads(hub) == []


def test_a_link_cannot_lead_the_download_out_of_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "speech-lora").symlink_to(outside)
    with serving(FakeHub(FILES)) as hub, pytest.raises(CommandError, match="leads out"):
        Fetching(hub).run(folder)
    assert list(outside.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        serving(FakeHub(FILES)) as hub,
        pytest.raises(CommandError, match="cannot write to"),
    ):
        Fetching(hub).run(tmp_path / "file")


def test_a_repository_without_config_is_no_checkpoint(tmp_path: Path) -> None:
    hub = FakeHub({"a.json": b"{}"})
    with serving(hub), pytest.raises(CommandError, match=r"has no config\.json"):
        Fetching(hub).run(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_name_that_is_no_hub_id_is_refused() -> None:
    with pytest.raises(CommandError, match="ORG/NAME"):
        Fetch("../name", "main", progress=Progress(io.StringIO()))
