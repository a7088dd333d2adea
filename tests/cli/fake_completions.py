"""A service in this process that answers chat completions with given words."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeCompletions:
    """Gives the answers in order, each a list of deltas; the last one again and again."""

    answers: list[list[str]] = field(default_factory=lambda: [["A red ", "cup."]])
    key: str = ""
    hangs: bool = False
    """The stream stops without an end."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def texts(self) -> list[str]:
        """Return the words of every question, "" where there were none."""
        return [
            "".join(part.get("text", "") for part in body["messages"][0]["content"])
            for body in self.bodies
        ]


@contextmanager
def serving(fake: FakeCompletions) -> Iterator[str]:
    """Serve on a free port; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._is_refused():
                return
            self._answer(200, json.dumps({"data": [{"id": "fake"}]}).encode())

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            fake.bodies.append(json.loads(self.rfile.read(length)))
            if self._is_refused():
                return
            number = min(len(fake.bodies), len(fake.answers)) - 1
            chunks = [
                {"choices": [{"delta": {"content": text}}]} for text in fake.answers[number]
            ]
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
            if fake.hangs:
                self.send_response(200)
                self.end_headers()
                self.wfile.write("".join(lines).encode())
                fake.is_over.wait(10)
                return
            self._answer(200, "".join([*lines, "data: [DONE]\n\n"]).encode())

        def _is_refused(self) -> bool:
            if self.headers.get("authorization", "").removeprefix("Bearer ") == fake.key:
                return False
            error = {"code": "invalid_api_key", "message": "The key is not valid."}
            self._answer(401, json.dumps({"error": error}).encode())
            return True

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        fake.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
