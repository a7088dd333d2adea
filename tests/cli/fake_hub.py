"""A hub in this process: lists files, sends ranges, and fails in the ways real ones do."""

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class FakeHub:
    """What the hub has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    address: str = ""
    storage_address: str = ""
    """Where ``*.safetensors`` are redirected to, if anywhere."""
    sent_instead: dict[str, bytes] = field(default_factory=dict)
    cut_after_bytes: list[int] = field(default_factory=list)
    """For each coming download: how much is sent before the connection breaks."""
    statuses: list[int] = field(default_factory=list)
    """Answers given instead of the next ones."""
    has_ranges: bool = True
    token: str = ""
    """Demanded of everyone who asks this hub (not its storage)."""
    listing: object = None
    """Sent instead of the list of files."""
    certificate: tuple[Path, Path] | None = None
    """Certificate and key; the hub speaks https then."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(path, Range, Authorization) of every request."""

    def siblings(self) -> list[dict[str, Any]]:
        """List the files as the hub's API does."""
        listed: list[dict[str, Any]] = []
        for name, content in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            blob = b"blob %d\0" % len(content) + content
            entry["blobId"] = hashlib.sha1(blob).hexdigest()
            if name.endswith(".safetensors"):
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            listed.append(entry)
        return listed


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve ``hub`` on a free port of this machine."""

    class Answer(_Answer):
        served = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        if hub.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*hub.certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            hub.address = hub.address.replace("http:", "https:")
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.005))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Answer(BaseHTTPRequestHandler):
    served: FakeHub

    def do_GET(self) -> None:
        hub = self.served
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "")
        hub.asked.append((path, self.headers.get("Range", ""), token))
        if hub.statuses:
            self._send(hub.statuses.pop(0), b"")
        elif hub.token and token != f"Bearer {hub.token}":
            self._send(401, b"")
        elif path.startswith("/api/models/org/name/revision/"):
            listing = hub.listing or {"sha": COMMIT, "siblings": hub.siblings()}
            self._send(200, json.dumps(listing).encode())
        elif path.startswith(f"/org/name/resolve/{COMMIT}/"):
            name = path.split(f"{COMMIT}/", 1)[1]
            if hub.storage_address and name.endswith(".safetensors"):
                self._send(302, b"", {"Location": hub.storage_address + self.path})
            else:
                self._send_file(name)
        else:
            self._send(404, b"")

    def _send_file(self, name: str) -> None:
        hub = self.served
        content = hub.sent_instead.get(name, hub.files[name])
        start, headers, status = 0, {}, 200
        wanted = self.headers.get("Range", "")
        if wanted and hub.has_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status = 206
        limit = hub.cut_after_bytes.pop(0) if hub.cut_after_bytes else None
        self._send(status, content[start:], headers, limit)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        limit: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:limit])

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
