import socket
import time
from collections.abc import Iterator

import pytest

from assistant.engine import connection as connection_module
from assistant.engine.connection import Connection, GatewayGone
from assistant.errors import ProtocolError
from assistant.wire import link

Pair = tuple[Connection, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connection and its gateway's socket."""
    ours, theirs = socket.socketpair()
    connection = Connection(0, ours)
    yield connection, theirs
    connection.close()
    theirs.close()


def test_orders_come_out_in_the_order_they_arrived_however_they_were_cut(
    pair: Pair,
) -> None:
    connection, gateway = pair
    orders: list[link.Order] = [link.Open(1, "speech"), link.Mark(1, 2), link.Close(1)]
    data = b"".join(link.encode(order) for order in orders)
    for index in range(len(data)):
        gateway.sendall(data[index : index + 1])
        connection.receive()
    assert connection.has_orders
    assert [connection.next_order() for _ in range(4)] == [*orders, None]
    assert not connection.has_orders


def test_a_ping_is_answered_before_the_orders_ahead_of_it(pair: Pair) -> None:
    connection, gateway = pair
    gateway.sendall(link.encode(link.Close(1)) + link.encode(link.Ping(9)))
    connection.receive()
    connection.flush()
    assert gateway.recv(100) == link.encode(link.Pong(9))
    assert connection.next_order() == link.Close(1)
    assert connection.next_order() is None


def test_nothing_to_read_is_no_error(pair: Pair) -> None:
    pair[0].receive()
    assert pair[0].next_order() is None


def test_a_gateway_that_closes_is_gone(pair: Pair) -> None:
    connection, gateway = pair
    gateway.close()
    with pytest.raises(GatewayGone, match="closed"):
        connection.receive()


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1", link.encode(link.Pong(1))],
    ids=["too long", "not msgpack", "a report"],
)
def test_what_is_not_an_order_breaks_the_protocol(pair: Pair, data: bytes) -> None:
    connection, gateway = pair
    gateway.sendall(data)
    with pytest.raises(ProtocolError):
        connection.receive()


def test_a_gateway_that_reads_slowly_gets_everything_in_the_end(pair: Pair) -> None:
    connection, gateway = pair
    report = link.Failed(sequence=1, generation=1, code="x", message="x" * 1000)
    for _ in range(1000):
        connection.post(report)
    connection.flush()
    assert connection.has_reports, "more than a socket holds"
    received = b""
    while connection.has_reports:
        received += gateway.recv(2**20)
        connection.flush()
    gateway.setblocking(False)
    received += gateway.recv(2**20)
    assert received.startswith(link.encode(report))
    assert len(received) == 1000 * len(link.encode(report))


def test_a_gateway_that_does_not_read_is_gone_at_the_bound(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, _ = pair
    monkeypatch.setattr(connection_module, "MAX_OUTBOX_BYTES", 10_000)
    connection.post(link.Token(1, 1, [5], "x" * 2**20))
    with pytest.raises(GatewayGone, match="the bound is 10000"):
        connection.flush()


def test_a_full_inbox_leaves_the_rest_in_the_socket(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, gateway = pair
    monkeypatch.setattr(connection_module, "MAX_INBOX_BYTES", 1000)
    gateway.sendall(link.encode(link.Append(1, [link.TextPart("x" * 2000)])))
    connection.receive()
    gateway.sendall(link.encode(link.Ping(1)))
    connection.receive()
    assert not connection.has_reports
    connection.next_order()
    connection.receive()
    assert connection.has_reports


def test_a_token_carries_the_moment_it_left(pair: Pair) -> None:
    connection, gateway = pair
    before = time.monotonic()
    connection.post(link.Token(1, 1, [5], "x"))
    connection.flush()
    token = link.decode_report(gateway.recv(2**16)[4:])
    assert isinstance(token, link.Token)
    assert before <= token.written_at <= time.monotonic()
