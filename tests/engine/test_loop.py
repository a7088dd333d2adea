import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.config import EngineConfig
from assistant.engine import connection as connection_module
from assistant.engine.loop import Loop
from assistant.wire import link
from tests.engine.fakes import FakeBackend
from tests.engine.link_client import LinkClient, text

NEVER = 10**9


@contextmanager
def serving(tmp_path: Path, backend: FakeBackend, **bounds: float) -> Iterator[Path]:
    """Serve a fake backend on a real socket; the loop runs in a thread of the test."""
    path = tmp_path / "engine.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    config = EngineConfig(num_slots=backend.num_slots, **bounds)  # type: ignore[arg-type] # numbers
    loop = Loop(listener, backend, config)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield path
    finally:
        loop.stop()
        thread.join()
        listener.close()


def ask(client: LinkClient, sequence: int, content: str, num_tokens: int = 20) -> None:
    client.send(
        link.Open(sequence, "none"),
        link.Append(sequence, text(content)),
        link.Generate(sequence, 1, link.Sampling(max_tokens=num_tokens)),
    )


def send_for_ever(client: LinkClient, data: bytes) -> None:
    while True:
        client.sock.sendall(data)


def test_a_gateway_is_greeted_and_gets_its_reply_token_by_token(tmp_path: Path) -> None:
    with serving(tmp_path, FakeBackend()) as path, LinkClient(path) as client:
        ready = client.receive()
        assert isinstance(ready, link.Ready)
        assert (ready.model, ready.num_slots, ready.is_meaningless) == ("fake", 4, True)
        client.send(
            link.Open(1, "speech"),
            link.Append(1, [*text("hello"), link.AudioPart(b"sound")]),
            link.Generate(1, 7, link.Sampling(max_tokens=40)),
        )
        written, ids, finished = client.reply(1, 7)
        admitted, appended = client.reports[1:3]
        assert admitted == link.Admitted(1, 7)
        assert isinstance(appended, link.Appended)
        assert (appended.num_tokens, appended.num_text, appended.num_audio) == (10, 5, 5)
        assert written == bytes(ids).decode(errors="replace")
        assert finished.num_output == len(ids) > 0
        assert finished.num_prompt == 10


def test_two_gateways_use_the_same_numbers_and_get_their_own_replies(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path, FakeBackend(stop_every=NEVER)) as path,
        LinkClient(path) as first,
        LinkClient(path) as second,
    ):
        ask(first, 1, "hello")
        ask(second, 1, "world")
        mine, yours = first.reply(1, 1)[1], second.reply(1, 1)[1]
        assert mine != yours
        ask(second, 2, "hello")
        assert second.reply(2, 1)[1] == mine


def test_replies_that_run_at_once_advance_together(tmp_path: Path) -> None:
    with (
        serving(tmp_path, FakeBackend(num_slots=3, stop_every=NEVER)) as path,
        LinkClient(path) as client,
    ):
        for number in (1, 2, 3):
            ask(client, number, "x" * number, num_tokens=200)
        for _ in range(3):
            client.wait_for(link.Finished)
        order = [r.sequence for r in client.reports if isinstance(r, link.Token)]
        all_run = max(order.index(number) for number in (1, 2, 3))
        first_ends = min(
            client.reports.index(report)
            for report in client.reports
            if isinstance(report, link.Finished)
        )
        num_before = sum(isinstance(r, link.Token) for r in client.reports[:first_ends])
        shared = order[all_run + 1 : num_before - 2]
        assert len(shared) > 100
        for index in range(0, len(shared) - 3, 3):
            assert sorted(shared[index : index + 3]) == [1, 2, 3]


def test_a_barge_in_over_the_socket_stops_the_tokens(tmp_path: Path) -> None:
    with (
        serving(tmp_path, FakeBackend(stop_every=NEVER)) as path,
        LinkClient(path) as client,
    ):
        ask(client, 1, "hi", num_tokens=4000)
        client.wait_for(link.Token)
        client.send(link.Cancel(1, 1, num_kept=1), link.Append(1, text("?")))
        finished = client.wait_for(link.Finished)
        assert (finished.reason, finished.num_output) == ("cancelled", 1)
        appended = client.wait_for(link.Appended)
        assert appended.num_tokens == 4
        client.send(link.Ping(1))
        client.wait_for(link.Pong)
        after = client.reports[client.reports.index(finished) :]
        assert not any(isinstance(report, link.Token) for report in after)


def test_a_malformed_frame_closes_its_connection_and_no_other(tmp_path: Path) -> None:
    with (
        serving(tmp_path, FakeBackend(stop_every=NEVER)) as path,
        LinkClient(path) as good,
        LinkClient(path) as bad,
    ):
        ask(good, 1, "hi", num_tokens=300)
        bad.receive()
        bad.sock.sendall(b"\xff\xff\xff\xff garbage")
        with pytest.raises(ConnectionError):
            bad.receive()
        assert good.reply(1, 1)[2].num_output == 300


def test_a_gateway_that_leaves_frees_its_rows(tmp_path: Path) -> None:
    with serving(tmp_path, FakeBackend(num_slots=1, stop_every=NEVER)) as path:
        with LinkClient(path) as client:
            ask(client, 1, "hi", num_tokens=4000)
            client.wait_for(link.Token)
        with LinkClient(path) as client:
            ask(client, 1, "hi", num_tokens=3)
            assert client.reply(1, 1)[2].num_output == 3


def test_a_gateway_that_does_not_read_is_dropped_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_OUTBOX_BYTES", 1000)
    backend = FakeBackend(stop_every=NEVER)
    with serving(tmp_path, backend) as path, LinkClient(path) as deaf:
        unanswerable = link.encode(link.Append(1, text("x" * 4000)))
        with pytest.raises(ConnectionError):
            send_for_ever(deaf, unanswerable)
        with LinkClient(path) as client:
            ask(client, 1, "hi")
            assert client.reply(1, 1)[2].num_output == 20


def test_a_reply_that_finds_no_row_fails_in_time(tmp_path: Path) -> None:
    with (
        serving(
            tmp_path,
            FakeBackend(num_slots=1, stop_every=NEVER),
            admission_timeout_s=0.1,
        ) as path,
        LinkClient(path) as client,
    ):
        ask(client, 1, "hi", num_tokens=4000)
        ask(client, 2, "hi")
        failed = client.wait_for(link.Failed)
        assert (failed.sequence, failed.generation, failed.code) == (2, 1, "no_free_slot")


def test_many_pictures_at_once_are_all_read_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, FakeBackend()) as path, LinkClient(path) as client:
        client.send(link.Open(1, "vision"))
        for number in range(10):
            data = f"picture {number}".encode()
            client.send(link.Append(1, [link.ImagePart(data, max_crops=1)]))
        lengths = [client.wait_for(link.Appended).num_tokens for _ in range(10)]
        assert lengths[-1] == 90


def test_a_message_of_many_megabytes_arrives(tmp_path: Path) -> None:
    with (
        serving(tmp_path, FakeBackend(), max_sequence_tokens=64) as path,
        LinkClient(path) as client,
    ):
        client.send(link.Open(1, "speech"), link.Append(1, [link.AudioPart(bytes(2**24))]))
        assert client.wait_for(link.Failed).code == "context_length_exceeded"


def test_stopping_closes_the_connections(tmp_path: Path) -> None:
    with serving(tmp_path, FakeBackend()) as path:
        client = LinkClient(path)
        client.receive()
    with client, pytest.raises(ConnectionError):
        client.receive()
