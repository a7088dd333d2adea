import json
from typing import Any

import pytest

from assistant.wire import client_secrets
from assistant.wire.refusals import EventRefused


def refusal(body: bytes) -> tuple[str | None, str | None]:
    with pytest.raises(EventRefused) as caught:
        client_secrets.decode(body)
    return caught.value.code, caught.value.param


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"expires_after": null}'])
def test_an_empty_request_asks_for_ten_minutes(body: bytes) -> None:
    request = client_secrets.decode(body)
    assert request.seconds == 600
    assert request.session is None


def test_the_settings_of_a_session_are_read() -> None:
    session = {"type": "realtime", "model": "m", "instructions": "Be short."}
    expires = {"anchor": "created_at", "seconds": 30}
    body: dict[str, Any] = {"session": session, "expires_after": expires}
    request = client_secrets.decode(json.dumps(body).encode())
    assert request.seconds == 30
    assert request.session is not None
    assert request.session.instructions == "Be short."


@pytest.mark.parametrize("seconds", [9, 7201, -1])
def test_the_time_has_bounds(seconds: int) -> None:
    body = json.dumps({"expires_after": {"seconds": seconds}}).encode()
    assert refusal(body) == ("invalid_value", "expires_after.seconds")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b'{"session": 1}', "invalid_value", "session"),
        (b'{"session": {"instructions": 1}}', "invalid_value", "session.instructions"),
        (
            b'{"expires_after": {"anchor": "never"}}',
            "invalid_value",
            "expires_after.anchor",
        ),
    ],
)
def test_what_is_no_request_is_refused_with_the_place(
    body: bytes, code: str, param: str | None
) -> None:
    assert refusal(body) == (code, param)
