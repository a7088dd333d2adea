import pytest
from starlette.datastructures import Headers

from assistant.gateway.access import (
    is_allowed_origin,
    is_authorised,
    offered_subprotocols,
    presented_key,
)


def test_subprotocols_are_read_from_one_header_or_several() -> None:
    raw = [
        (b"sec-websocket-protocol", b"realtime, openai-insecure-api-key.k"),
        (b"sec-websocket-protocol", b" x ,"),
    ]
    assert offered_subprotocols(Headers(raw=raw)) == [
        "realtime",
        "openai-insecure-api-key.k",
        "x",
    ]
    assert offered_subprotocols(Headers()) == []


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": "Bearer secret"}, "secret"),
        ({"authorization": "bearer  secret "}, "secret"),
        ({"authorization": "Basic secret"}, None),
        ({"authorization": "Bearer"}, None),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key.secret"}, "secret"),
        ({"sec-websocket-protocol": "realtime"}, None),
    ],
)
def test_the_key_comes_from_the_header_or_from_a_subprotocol(
    headers: dict[str, str], key: str | None
) -> None:
    assert presented_key(Headers(headers)) == key


@pytest.mark.parametrize(
    ("key", "accepted", "expected"),
    [
        (None, (), True),
        ("anything", (), True),
        ("one", ("one", "two"), True),
        ("two", ("one", "two"), True),
        ("", ("one",), False),
        (None, ("one",), False),
        ("one ", ("one",), False),
        ("\xff", ("one",), False),
    ],
)
def test_only_a_known_key_opens_unless_there_is_none(
    key: str | None, accepted: tuple[str, ...], expected: bool
) -> None:
    assert is_authorised(key, accepted) is expected


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        (None, "localhost:8000", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("https://[::1]:8000", "[::1]:8000", True),
        ("http://localhost:9000", "localhost:8000", False),
        ("http://evil.example", "localhost:8000", False),
        # A name of the attacker's that now resolves to this machine.
        ("http://evil.example:8000", "evil.example:8000", False),
        ("http://localhost.evil.example:8000", "localhost.evil.example:8000", False),
        ("http://user@localhost:8000", "localhost:8000", False),
        ("null", "localhost:8000", False),
        ("", "", False),
        ("file://localhost:8000", "localhost:8000", False),
        ("http://[::1", "[::1", False),
        ("http://localhost:8000", None, False),
    ],
)
def test_on_loopback_only_pages_of_loopback_names_may_connect(
    listens_on: str, origin: str | None, host: str | None, expected: bool
) -> None:
    given = {"origin": origin, "host": host}
    headers = Headers({name: value for name, value in given.items() if value is not None})
    assert is_allowed_origin(headers, (), listens_on) is expected


def test_on_other_addresses_a_page_must_come_from_the_name_it_connects_to() -> None:
    own = Headers({"origin": "https://kiosk.lan:8000", "host": "kiosk.lan:8000"})
    other = Headers({"origin": "https://evil.example", "host": "kiosk.lan:8000"})
    assert is_allowed_origin(own, (), "0.0.0.0")
    assert not is_allowed_origin(other, (), "0.0.0.0")


def test_a_listed_origin_may_connect_and_only_if_it_is_exactly_that() -> None:
    allowed = ("https://app.example",)
    for origin, expected in [
        ("https://app.example", True),
        ("https://app.example:8443", False),
        ("https://app.example.evil.example", False),
        ("http://app.example", False),
    ]:
        headers = Headers({"origin": origin, "host": "localhost:8000"})
        assert is_allowed_origin(headers, allowed, "127.0.0.1") is expected, origin
