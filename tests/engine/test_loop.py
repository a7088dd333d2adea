import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.config import EngineConfig
from assistant.engine.loop import Loop
from assistant.wire import link
from tests.engine.fakes import FakeBackend
from tests.engine.link_client import LinkClient, text


@contextmanager
def serving(
    tmp_path: Path, backend: FakeBackend, **settings: float
) -> Iterator[tuple[Path, Loop]]:
    """Serve a fake backend on a real socket; the loop runs in a thread of the test."""
    path = tmp_path / "engine.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    config = EngineConfig(num_slots=backend.num_slots, **settings)  # type: ignore[arg-type]
    loop = Loop(listener, backend, config)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield path, loop
    finally:
        loop.stop()
        thread.join()
        listener.close()


def test_a_gateway_is_greeted_and_gets_its_reply_token_by_token(tmp_path: Path) -> None:
    with serving(tmp_path, FakeBackend()) as (path, _), LinkClient(path) as client:
        ready = client.receive()
        assert isinstance(ready, link.Ready)
        assert (ready.model, ready.num_slots, ready.is_meaningless) == ("fake", 4, True)
        client.send(
            link.Open(1, "speech"),
            link.Append(1, [*text("hello"), link.AudioPart(b"sound")]),
            link.Generate(1, 7, link.Sampling(max_tokens=40)),
        )
        written, ids, finished = client.reply(1, 7)
        assert isinstance(client.reports[1], link.Admitted)
        appended = client.reports[2]
        assert isinstance(appended, link.Appended)
        assert (appended.num_tokens, appended.num_text, appended.num_audio) == (10, 5, 5)
        assert written == bytes(ids).decode(errors="replace")
        assert finished.num_output == len(ids) > 0
        assert finished.num_prompt == 10
