"""
The Hugging Face hub over HTTP: which files a revision has, and the bytes of one.

Knows addresses, answers and their faults; touches no file. Only the standard library is
used: three kinds of request do not justify a dependency.
"""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from assistant.errors import CommandError

TIMEOUT_S = 30.0
MAX_LISTING_BYTES = 16 * 2**20

_WANTED_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt")
_WANTED_NAMES = ("LICENSE", "LICENSE.md", "README.md", "NOTICE")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class Unreachable(Exception):
    """The hub did not answer, or refused for the moment; trying again may help."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a revision."""

    name: str
    """Relative path with ``/``; checked to stay inside the folder."""
    num_bytes: int
    digest: str
    """SHA-256 of the content (large files), or the SHA-1 that git gives the blob."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a revision of a repository consists of."""

    commit: str
    files: tuple[HubFile, ...]
    """Only those worth having: weights, JSON, templates and licences; never code."""


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub and the token to show it."""

    endpoint: str
    token: str = ""

    def listing(self, hub_id: str, revision: str) -> Listing:
        """
        Return the files of ``revision`` that a checkpoint needs.

        Raises:
            CommandError: There is no such model, no access, or a file name is hostile.
            Unreachable: Trying again may help.
        """
        where = f"{hub_id}/revision/{urllib.parse.quote(revision, safe='')}"
        with self._open(f"/api/models/{where}?blobs=true", hub_id) as answer:
            text = _read_bounded(answer)
        try:
            return _parse_listing(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CommandError(
                f"{self.endpoint} gave no list of files: {error!r}"
            ) from error

    def content(self, hub_id: str, commit: str, name: str, start: int) -> "Content":
        """
        Open one file from byte ``start`` on.

        Raises:
            CommandError: There is no such file, or no access.
            Unreachable: Trying again may help.
        """
        path = f"/{hub_id}/resolve/{commit}/{urllib.parse.quote(name)}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        answer = self._open(path, hub_id, headers)
        # A server without ranges starts over (200); one with them says where it starts.
        is_partial = answer.status == http.client.PARTIAL_CONTENT
        told = answer.headers.get("Content-Range", "")
        if is_partial and not told.startswith(f"bytes {start}-"):
            answer.close()
            raise Unreachable(f"asked for bytes from {start}, got {told!r}")
        return Content(answer, start if is_partial else 0)

    def _open(self, path: str, hub_id: str, headers: dict[str, str] | None = None) -> Any:
        if not self.endpoint.startswith(("https://", "http://")):
            raise CommandError(f"{self.endpoint!r} is not the address of a hub")
        address = self.endpoint.rstrip("/") + path
        request = urllib.request.Request(address, headers=headers or {})
        request.add_header("User-Agent", "phi-assistant")
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return _OPENER.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error, hub_id, self.endpoint) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise CommandError(f"{self.endpoint}: {reason.verify_message}") from error
            raise Unreachable(f"{self.endpoint}: {reason}") from error


@dataclass(frozen=True, slots=True)
class Content:
    """An open answer; its first byte is number ``start`` of the file."""

    stream: IO[bytes]
    start: int

    def read(self, num_bytes: int) -> bytes:
        """
        Return up to ``num_bytes``; empty at the end of the answer.

        Raises:
            Unreachable: The connection broke.
        """
        try:
            return self.stream.read(num_bytes)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the connection broke: {error!r}") from error


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Keeps the token on the hub: the storage it redirects to must not see it."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if new.scheme not in ("https", old.scheme):
            raise urllib.error.URLError(
                f"refused to follow a redirect from {old.scheme} to {new.scheme}"
            )
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.get_header("Authorization")
        if (
            request is not None
            and token
            and (old.scheme, old.netloc) == (new.scheme, new.netloc)
        ):
            request.add_unredirected_header("Authorization", token)
        return request


_OPENER = urllib.request.build_opener(_CarefulRedirects)


def _refusal(
    error: urllib.error.HTTPError, hub_id: str, endpoint: str
) -> CommandError | Unreachable:
    if error.code in (408, 416, 425, 429) or error.code >= 500:
        return Unreachable(f"{endpoint} answered {error.code} {error.reason}")
    if error.code == 401:
        return CommandError(
            f"{endpoint} has no public model {hub_id}; for a private or gated one put an "
            "access token into HF_TOKEN (401)"
        )
    if error.code == 403:
        return CommandError(
            f"no access to {hub_id}: accept its terms at {endpoint}/{hub_id} and put an "
            "access token into HF_TOKEN (403)"
        )
    if error.code == 404:
        return CommandError(
            f"{endpoint} has no such model, revision or file: {hub_id} (404)"
        )
    return CommandError(f"{endpoint} answered {error.code} {error.reason}")


def _read_bounded(answer: Any) -> bytes:
    try:
        text: bytes = answer.read(MAX_LISTING_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the connection broke: {error!r}") from error
    if len(text) > MAX_LISTING_BYTES:
        raise CommandError(f"the list of files has over {MAX_LISTING_BYTES} bytes")
    return text


def _parse_listing(document: dict[str, Any]) -> Listing:
    files = []
    for entry in document["siblings"]:
        name = str(entry["rfilename"])
        if not is_safe_name(name):
            raise CommandError(f"the hub lists a file called {name!r}; nothing is fetched")
        if not is_wanted(name):
            continue
        large = entry.get("lfs")
        num_bytes = int(large["size"] if large else entry["size"])
        digest = str(large["sha256"] if large else entry["blobId"])
        pattern = _SHA256 if large else _SHA1
        if num_bytes < 0 or not pattern.fullmatch(digest):
            raise ValueError(f"{name}: size {num_bytes}, digest {digest!r}")
        files.append(HubFile(name, num_bytes, digest))
    commit = str(document["sha"])
    if not _SHA1.fullmatch(commit):
        raise ValueError(f"commit {commit!r}")
    return Listing(commit, tuple(files))


def is_wanted(name: str) -> bool:
    """Say whether a checkpoint needs the file: no code, no pickles, no pictures."""
    return name.endswith(_WANTED_SUFFIXES) or PurePosixPath(name).name in _WANTED_NAMES


def is_safe_name(name: str) -> bool:
    """Say whether a listed name stays inside the folder it is written into."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and name == str(path)  # no "//", no "./", no trailing slash
        and not path.is_absolute()
        and ".." not in path.parts
        and not any(character in name for character in '\\:*?"<>|')
        and name.isprintable()
    )
