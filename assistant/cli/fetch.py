"""
Download a model so that an interruption costs nothing and a half is never used.

Each file grows as ``NAME.DIGEST.part`` and gets its name only when its digest is right.
``config.json`` comes last: a folder that has it is complete (see ``models_on_disk``).
``.fetched.json`` remembers what was verified, so that a second run reads no gigabytes.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assistant.cli.hub import Hub, HubFile, Listing, Unreachable
from assistant.cli.progress import Progress, readable_bytes
from assistant.errors import CommandError
from assistant.models_on_disk import is_hub_id

HUB = "https://huggingface.co"
MANIFEST = ".fetched.json"

_CHUNK_BYTES = 2**20
_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits before the second, third, … attempt; bytes that arrived start the count anew."""


class Fetch:
    """One download of one revision of one model."""

    def __init__(
        self,
        hub_id: str,
        revision: str,
        *,
        endpoint: str = HUB,
        token: str = "",
        progress: Progress,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not is_hub_id(hub_id):
            raise CommandError(f"{hub_id!r} is not a model name of the form ORG/NAME")
        self._hub_id = hub_id
        self._revision = revision
        self._hub = Hub(endpoint, token)
        self._progress = progress
        self._sleep = sleep

    def run(self, folder: Path) -> None:
        """
        Bring ``folder`` to the revision; files that are right already are kept.

        Raises:
            CommandError: The model cannot be had, does not fit, or cannot be written.
        """
        listing = self._retried(lambda: self._hub.listing(self._hub_id, self._revision))
        files = sorted(
            listing.files, key=lambda file: (file.name == "config.json", file.name)
        )
        if not files or files[-1].name != "config.json":
            raise CommandError(f"{self._hub_id} has no config.json: not a checkpoint")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._bring(folder, listing, files)
        except OSError as error:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise CommandError(f"cannot write to {folder}: {reason}") from error

    def _bring(self, folder: Path, listing: Listing, files: list[HubFile]) -> None:
        verified = _read_manifest(folder)
        missing = [file for file in files if not _is_right(folder, file, verified)]
        if not missing:
            self._progress.say(f"{self._hub_id} is complete")
        else:
            # While files of two revisions lie side by side, the folder is not a model.
            (folder / "config.json").unlink(missing_ok=True)
            missing = [file for file in missing if file is not files[-1]] + [files[-1]]
        _check_space(folder, missing)
        for file in missing:
            self._bring_file(folder, listing.commit, file)
            verified[file.name] = file.digest
            manifest = {"model": self._hub_id, "commit": listing.commit, "files": verified}
            _write_whole(folder / MANIFEST, json.dumps(manifest, indent=1))

    def _bring_file(self, folder: Path, commit: str, file: HubFile) -> None:
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise CommandError(f"{target.parent} leads out of {folder}; nothing is written")
        part = _part(folder, file)
        for is_last_attempt in (False, True):
            self._bring_part(part, commit, file)
            if _digest(part, file) == file.digest:
                os.replace(part, target)
                self._progress.end()
                return
            # A part kept from an earlier run may be what is wrong: once from the start.
            part.unlink()
            if not is_last_attempt:
                self._progress.say(f"{file.name}: wrong digest, once more from the start")
        raise CommandError(
            f"{file.name}: what {self._hub.endpoint} sends has a wrong digest"
        )

    def _bring_part(self, part: Path, commit: str, file: HubFile) -> None:
        """Make ``part`` as long as the file, continuing it where it ends."""
        have = part.stat().st_size if part.exists() else 0
        if have > file.num_bytes:
            part.unlink()
            have = 0
        self._progress.begin(file.name, file.num_bytes, have)
        part.touch()
        attempt = 0
        while (have := part.stat().st_size) < file.num_bytes:
            try:
                self._receive(part, commit, file, have)
            except Unreachable as error:
                if part.stat().st_size > have:
                    attempt = 0
                self._wait(attempt, error)
                attempt += 1

    def _receive(self, part: Path, commit: str, file: HubFile, have: int) -> None:
        content = self._hub.content(self._hub_id, commit, file.name, have)
        with content.stream, part.open("r+b") as out:
            if content.start < have:
                self._progress.begin(file.name, file.num_bytes, content.start)
            out.seek(content.start)
            out.truncate()
            size = content.start
            while chunk := content.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > file.num_bytes:
                    raise CommandError(
                        f"{file.name}: more than the {file.num_bytes} bytes listed arrive"
                    )
                out.write(chunk)
                self._progress.advance(len(chunk))
        if size < file.num_bytes:
            raise Unreachable(f"{file.name}: the connection ended at byte {size}")

    def _retried(self, ask: Callable[[], Listing]) -> Listing:
        attempt = 0
        while True:
            try:
                return ask()
            except Unreachable as error:
                self._wait(attempt, error)
                attempt += 1

    def _wait(self, attempt: int, error: Unreachable) -> None:
        """Wait before another attempt, or give up."""
        if attempt >= len(_DELAYS_S):
            raise CommandError(
                f"{error}; gave up after {attempt + 1} attempts, what arrived is kept"
            ) from error
        self._progress.say(f"{error}; again in {_DELAYS_S[attempt]:.0f} s")
        self._sleep(_DELAYS_S[attempt])


def _part(folder: Path, file: HubFile) -> Path:
    return folder / f"{file.name}.{file.digest[:12]}.part"


def _check_space(folder: Path, missing: list[HubFile]) -> None:
    needed = 0
    for file in missing:
        part = _part(folder, file)
        needed += file.num_bytes - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CommandError(
            f"{folder} needs {readable_bytes(needed)} more, {readable_bytes(free)} are free"
        )


def _is_right(folder: Path, file: HubFile, verified: dict[str, str]) -> bool:
    path = folder / file.name
    if not path.is_file() or path.stat().st_size != file.num_bytes:
        return False
    return verified.get(file.name) == file.digest or _digest(path, file) == file.digest


def _digest(path: Path, file: HubFile) -> str:
    """Hash the way ``file.digest`` was made; the length of a digest tells which way."""
    if len(file.digest) == 64:
        state = hashlib.sha256()
    else:
        state = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def _read_manifest(folder: Path) -> dict[str, str]:
    try:
        document: Any = json.loads((folder / MANIFEST).read_text())
        return {str(name): str(digest) for name, digest in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # it only saves time: without it every file is hashed again


def _write_whole(path: Path, text: str) -> None:
    scratch = path.with_name(f"{path.name}.part")
    scratch.write_text(text)
    os.replace(scratch, path)
