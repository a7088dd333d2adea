"""The tree keeps its shape: small files, a test for each, nothing left to do."""

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
MAX_LINES = 350
MAX_TEST_LINES = 400
"""Lists of claims are read one by one, so they may be a little longer."""

WITHOUT_A_TEST_OF_THEIR_OWN = {
    "__init__.py",
    "assistant/errors.py",
    "assistant/__main__.py",
    "assistant/turns/actions.py",
    "assistant/turns/media.py",
}
"""``__main__`` is tested in ``tests/test_main.py``; the others only declare."""

SOURCE_SUFFIXES = {".py", ".js", ".mjs", ".css", ".html", ".sh", ".toml", ".md", ".yml"}
SOURCE_NAMES = {"Makefile", "Dockerfile", "run"}
# Written in two parts, so that this file does not contain them.
UNFINISHED = ("TO" + "DO", "FIX" + "ME")


def source_files() -> list[Path]:
    """List the files under version control, or about to be, that people write."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a working copy")
    files = [PROJECT / name for name in listed.stdout.decode().split("\0") if name]
    return [
        file
        for file in files
        if file.is_file() and (file.suffix in SOURCE_SUFFIXES or file.name in SOURCE_NAMES)
    ]


def test_every_module_has_its_test_module_at_the_same_path() -> None:
    missing = []
    for module in sorted((PROJECT / "assistant").rglob("*.py")):
        path = module.relative_to(PROJECT)
        if {module.name, path.as_posix()} & WITHOUT_A_TEST_OF_THEIR_OWN:
            continue
        test = Path("tests", *path.parts[1:-1], f"test_{module.name}")
        if not (PROJECT / test).is_file():
            missing.append(test.as_posix())
    assert missing == []


def test_no_source_file_is_long() -> None:
    long = {
        file.relative_to(PROJECT).as_posix(): num_lines
        for file in source_files()
        if file.suffix in {".py", ".js", ".mjs"}
        and (num_lines := len(file.read_text(encoding="utf-8").splitlines()))
        >= (MAX_TEST_LINES if PROJECT / "tests" in file.parents else MAX_LINES)
    }
    assert long == {}


def test_nothing_is_left_to_do() -> None:
    unfinished = {
        file.relative_to(PROJECT).as_posix()
        for file in source_files()
        if any(word in file.read_text(encoding="utf-8") for word in UNFINISHED)
    }
    assert unfinished == set()
