"""The engine dies in the middle of an answer, and nobody has to start anything again."""

import os
import signal
import time

import pytest

from tests.service.harness import Client, running
from tests.waiting import wait_until

pytestmark = pytest.mark.service

FAILED_WITHIN_S = 4.0
"""One second is wanted, of a machine that does nothing else; a ping goes unanswered for
longer."""


def start_an_answer(client: Client) -> None:
    part = {"type": "input_text", "text": "tell me a long story"}
    item = {"type": "message", "role": "user", "content": [part]}
    client.send("conversation.item.create", item=item)
    client.send("response.create", response={"max_output_tokens": 4000})
    client.wait("response.output_text.delta")


def test_a_killed_engine_fails_its_turns_at_once_and_the_conversation_goes_on(
    arguments: tuple[str, ...],
) -> None:
    with running(*arguments) as service, Client(service.url) as client:
        client.ask("remember the word river", max_output_tokens=4)
        start_an_answer(client)
        killed = time.monotonic()
        os.kill(service.engine_pid(), signal.SIGKILL)
        done = client.wait("response.done")["response"]
        failed_s = time.monotonic() - killed
        assert failed_s < FAILED_WITHIN_S
        assert done["status"] == "failed"
        assert done["status_details"]["error"]["code"] == "engine_gone"
        assert done["output"][0]["status"] == "incomplete"
        wait_until(lambda: service.get("/health")["status"] == "ok", "another engine")
        after = client.ask("and which word was it?", max_output_tokens=4)
        assert after["status"] == "incomplete"
        # Everything was read again: both questions, the answer and the piece of another.
        with Client(service.url) as stranger:
            alone = stranger.ask("and which word was it?", max_output_tokens=4)
        num_history = after["usage"]["input_tokens"] - alone["usage"]["input_tokens"]
        assert num_history > 20
        assert after["usage"]["input_token_details"]["cached_tokens"] == 0


@pytest.mark.parametrize("num_tokens", [1, 10])
def test_every_session_survives_a_death_at_any_moment(
    arguments: tuple[str, ...], num_tokens: int
) -> None:
    with running(*arguments) as service:
        clients = [Client(service.url) for _ in range(4)]
        for client in clients:
            start_an_answer(client)
        for _ in range(num_tokens):
            clients[0].wait("response.output_text.delta")
        os.kill(service.engine_pid(), signal.SIGKILL)
        for client in clients:
            assert client.wait("response.done")["response"]["status"] == "failed"
        # Nobody waits for the restart: a turn that comes meanwhile is answered after it.
        for client in clients:
            assert client.ask("again", max_output_tokens=2)["status"] == "incomplete"
            assert client.types().count("session.created") == 1
            client.close()
