"""One line per event, with its session, and nothing that a user sent."""

import io
import logging
import re
from collections.abc import Iterator

import pytest

from assistant import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in log.HELD_LOGGERS}
    yield io.StringIO()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_a_line_has_time_level_module_and_message(stream: io.StringIO) -> None:
    log.set_up("INFO", stream)
    logging.getLogger("assistant.x").info("answered in %d ms", 120)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO assistant\.x: answered in 120 ms\n",
        stream.getvalue(),
    )


def test_a_line_feed_in_a_message_cannot_forge_a_line(stream: io.StringIO) -> None:
    log.set_up("INFO", stream)
    logging.getLogger("assistant.x").info("name %s", "a\r\nERROR root: forged")
    assert stream.getvalue().count("\n") == 1


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    log.set_up("WARNING", stream)
    logging.getLogger("assistant.x").info("quiet")
    assert stream.getvalue() == ""


def test_setting_up_twice_does_not_double_lines(stream: io.StringIO) -> None:
    log.set_up("INFO", stream)
    log.set_up("INFO", stream)
    logging.getLogger("assistant.x").info("once")
    assert stream.getvalue().count("once") == 1


def test_debug_never_opens_the_libraries_that_log_what_users_send(
    stream: io.StringIO,
) -> None:
    log.set_up("DEBUG", stream)
    logging.getLogger("websockets.server").debug("< TEXT 'my secret'")
    logging.getLogger("uvicorn.error").debug("< TEXT 'my secret'")
    logging.getLogger("uvicorn.access").info("GET /v1/realtime?key=my-secret")
    logging.getLogger("uvicorn.error").info(
        '"WebSocket /v1/realtime?key=my-secret" [accepted]'
    )
    logging.getLogger("assistant.x").debug("seen")
    assert "secret" not in stream.getvalue()
    assert "seen" in stream.getvalue()


def test_a_session_and_its_turn_stand_in_front(stream: io.StringIO) -> None:
    log.set_up("INFO", stream)
    session = log.SessionLog(logging.getLogger("assistant.x"), "sess_1")
    session.info("opened by %s", "websocket")
    session.turn = 3
    session.info("answered")
    session.turn = None
    session.info("closed")
    messages = [line.split(": ", 1)[1] for line in stream.getvalue().splitlines()]
    assert messages == [
        "sess_1: opened by websocket",
        "sess_1 turn 3: answered",
        "sess_1: closed",
    ]
