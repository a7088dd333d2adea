"""
Logging: one line per event, with session and turn in front.

Nothing a user said, showed or read may be logged at any level; that is why libraries
that log what they send and receive are held at INFO here, whatever the level.
"""

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

HELD_LOGGERS = ("websockets", "uvicorn", "aiortc", "aioice", "httpx", "httpcore", "PIL")
"""Libraries whose DEBUG lines contain messages, media or candidate addresses."""

_TALKATIVE_LOGGERS = ("uvicorn.access", "uvicorn.error", "aioice")
"""uvicorn logs whole request targets at INFO, so also a secret that somebody put in a query
(0.54 calls its general logger, WebSocket handshakes included, "error"); aioice logs every
connectivity check with the addresses of both sides."""


class _OneLine(logging.Formatter):
    """UTC time with milliseconds, level, module and message; never two lines of message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 # logging's name
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name
        # A message can quote what a client sent; a line feed in it would forge a line.
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)


def set_up(level: str, stream: TextIO | None = None) -> None:
    """
    Send every logger of this process to ``stream`` (stderr) from ``level`` on.

    A second call replaces what the first one did.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in HELD_LOGGERS:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
    for name in _TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)


class SessionLog(logging.LoggerAdapter[logging.Logger]):
    """
    A logger whose lines start with their session and, inside a turn, its number.

    ``session.turn = 3`` changes the prefix of later lines; None removes the turn.
    """

    def __init__(self, logger: logging.Logger, session: str) -> None:
        # The prefix becomes part of a %-style format. Session ids are made here, not sent.
        assert "%" not in session
        super().__init__(logger, {})
        self.session = session
        self.turn: int | None = None

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        """Put the prefix in front."""
        prefix = self.session if self.turn is None else f"{self.session} turn {self.turn}"
        return f"{prefix}: {msg}", kwargs
