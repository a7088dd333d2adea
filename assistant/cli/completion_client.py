"""
The client of ``/v1/chat/completions`` that the command line uses: asks, yields the answer.

A client like any other; it knows nothing that other clients cannot.
"""

import http.client
import json
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from assistant.cli.options import KEY_VARIABLE
from assistant.errors import CommandError

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_MAX_LINE_BYTES = 2**20
_MAX_ERROR_BYTES = 2**16


def http_address(address: str) -> str:
    """
    Complete what a person typed: ``host:8000``, ``ws://…`` and ``https://…/v1`` all work.

    Raises:
        CommandError: It is no address.
    """
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        if not parts.hostname or parts.port == 0:
            raise ValueError(address)
        return f"{_SCHEMES[parts.scheme]}://{parts.netloc}"
    except (ValueError, KeyError) as error:
        raise CommandError(
            f"{address!r} is not an address like http://localhost:8000"
        ) from error


@dataclass(slots=True, kw_only=True)
class CompletionClient:
    """Where to ask, and how."""

    address: str
    """As ``http_address`` returns it."""
    key: str = ""
    is_insecure: bool = False
    """Accept any certificate (for ``--tls self-signed``)."""
    timeout_s: float = 60.0
    """How long nothing may come."""

    def model(self) -> str:
        """Return the name of the service's model; raises CommandError."""
        with self._answer("GET", "/v1/models") as answer:
            try:
                return str(json.loads(answer.read(_MAX_LINE_BYTES))["data"][0]["id"])
            except (ValueError, LookupError, TypeError) as error:
                raise CommandError(f"{self.address} names no model") from error

    def ask(self, model: str, content: list[dict[str, Any]], **keys: Any) -> Iterator[str]:
        """
        Yield the answer to one user message as it comes.

        Raises:
            CommandError: No connection, nothing in time, or the service reports an error.
        """
        message = {"role": "user", "content": content}
        body = {"model": model, "messages": [message], "stream": True, **keys}
        with self._answer("POST", "/v1/chat/completions", json.dumps(body)) as answer:
            yield from deltas(_lines(answer))

    @contextmanager
    def _answer(
        self, method: str, path: str, body: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request; raise CommandError unless the answer has status 200."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        data = None if body is None else body.encode()
        connection = self._connection()
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise CommandError(_refusal(answer))
            yield answer
        except ssl.SSLCertVerificationError as error:
            raise CommandError(
                f"{self.address}: {error.verify_message}; --insecure accepts any "
                "certificate"
            ) from error
        except TimeoutError as error:
            raise CommandError(f"nothing came for {self.timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(
                f"no answer from {self.address} ({error}); is the service running there?"
            ) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        context = ssl.create_default_context()
        if self.is_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(
            host, port, timeout=self.timeout_s, context=context
        )


def deltas(lines: Iterable[bytes]) -> Iterator[str]:
    """
    Yield the text in the lines of an event stream.

    Raises:
        CommandError: It reports an error, is no such stream, or ends too early.
    """
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return
        try:
            event = json.loads(data)
            if "error" in event:
                error = event["error"]
                raise CommandError(
                    f"the service reports {error['code']}: {error['message']}"
                )
            for choice in event["choices"]:
                if text := choice["delta"].get("content"):
                    yield str(text)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CommandError("the service sent what is no answer") from error
    raise CommandError("the service closed the connection before the answer was whole")


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while line := answer.readline(_MAX_LINE_BYTES):
        yield line


def _refusal(answer: http.client.HTTPResponse) -> str:
    hint = f"; put a key into {KEY_VARIABLE}" if answer.status in (401, 403) else ""
    try:
        error = json.loads(answer.read(_MAX_ERROR_BYTES))["error"]
        return f"the service reports {error['code']}: {error['message']}{hint}"
    except (ValueError, LookupError, TypeError):
        return f"the service answered with status {answer.status}{hint}"
