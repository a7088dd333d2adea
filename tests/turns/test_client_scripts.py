"""Random clients, engines and users: what a session tells its client is always true."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from assistant.errors import MediaError
from assistant.turns.actions import Send, Tell
from assistant.wire import client_events as client, items, link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import READY, Bench, text_item
from tests.turns.witness import Witness

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
CALL = '<|tool_call|>[{"name": "look", "arguments": {"at": [1, "}"]}}]<|/tool_call|>'
PIECES = ["Hello", " there", "", CALL, CALL[:31], CALL[31:], "functools[", "<|tool", "{]"]
IDS = [f"mine_{number}" for number in range(6)]


class Script:
    """One session, a client that believes it, and an engine that answers when it likes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.bench = Bench()
        self.witness = Witness()
        self.generations: list[tuple[int, int]] = []
        self.ended: list[tuple[int, int]] = []
        self.steps: list[tuple[int, Callable[[], None]]] = [
            (6, self.create_item),
            (3, self.delete_item),
            (1, self.retrieve_item),
            (6, self.create_response),
            (2, self.cancel_response),
            (2, self.update_session),
            (2, self.speak),
            (1, lambda: self.bench.client(client.InputAudioCommit())),
            (1, lambda: self.bench.client(client.InputAudioClear())),
            (1, lambda: self.bench.client(client.ItemTruncate(item_id=self.any_id()))),
            (20, self.write),
            (6, self.finish),
            (1, self.fail),
            (1, self.restart_engine),
            (1, self.wait),
        ]

    def run(self, num_steps: int) -> None:
        self.do(lambda: self.bench.update(tools=[LOOK]))
        weights = [weight for weight, _ in self.steps]
        for _, step in self.rng.choices(self.steps, weights, k=num_steps):
            self.do(step)
        for _ in range(6):  # what waited comes to its end as well
            self.do(self.wait)
            while self.generations:
                self.do(self.finish)
        assert self.witness.responses == {}
        held = [item.id for item in self.bench.session._conversation.items]
        assert self.witness.order == held

    def do(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (EventRefused, MediaError):
            pass  # nothing of it was applied, which the witness would notice
        finally:
            self.bench.take()
        # Reports lead to orders, which lead to reports.
        while self.bench.actions:
            actions, self.bench.actions = self.bench.actions, []
            for action in actions:
                if isinstance(action, Send):
                    self.witness.see(action.event)
                elif isinstance(action, Tell):
                    self.carry_out(action.order)

    # --- the engine ---------------------------------------------------------------------

    def carry_out(self, order: link.Order) -> None:
        match order:
            case link.Generate(sequence, generation):
                self.generations.append((sequence, generation))
            case link.Cancel(sequence, generation):
                self.end((sequence, generation))
            case link.Rollback(sequence) | link.Close(sequence):
                for running in [r for r in self.generations if r[0] == sequence]:
                    self.end(running)
            case link.Append(sequence):
                appended = link.Appended(
                    sequence=sequence, num_tokens=9, num_text=3, num_image=0, num_audio=0
                )
                self.bench.report(appended)

    def end(self, running: tuple[int, int]) -> None:
        if running in self.generations:
            self.generations.remove(running)
            self.ended.append(running)

    def write(self) -> None:
        # Now and then a token that was on its way when its reply was cancelled.
        late = self.rng.random() < 0.1
        running = self.ended if late else self.generations
        if running:
            self.bench.report(
                link.Token(*self.rng.choice(running), [7], self.rng.choice(PIECES))
            )

    def finish(self) -> None:
        if self.generations:
            sequence, generation = self.generations.pop(0)
            finished = link.Finished(
                sequence=sequence,
                generation=generation,
                reason=self.rng.choice(["stop", "stop", "length"]),
                text=self.rng.choice(["", " end"]),
                num_prompt=10,
                num_cached=2,
                num_output=3,
            )
            self.bench.report(finished)

    def fail(self) -> None:
        if self.generations:
            sequence, generation = self.generations.pop(0)
            code = self.rng.choice(["context_length_exceeded", "out_of_memory"])
            failed = link.Failed(
                sequence=sequence, generation=generation, code=code, message="says so"
            )
            self.bench.report(failed)

    def restart_engine(self) -> None:
        self.bench.session.receive_engine(None, self.bench.now)
        self.generations.clear()
        if self.rng.random() < 0.9:
            self.bench.session.receive_engine(READY, self.bench.now)

    def wait(self) -> None:
        self.bench.now += self.rng.choice([0.1, 25.0])
        self.bench.session.handle_timer(self.bench.now)
        self.bench.session.receive_engine(READY, self.bench.now)

    # --- the client ---------------------------------------------------------------------

    def any_id(self) -> str:
        return self.rng.choice([*self.witness.order, *IDS[:2], "unknown"])

    def create_item(self) -> None:
        rng = self.rng
        item_id = rng.choice([None, *IDS])
        kind = rng.random()
        event: client.ItemCreate
        if kind < 0.5:
            role = rng.choice(["user", "assistant"])
            event = text_item("words", role=role, id=item_id)
        elif kind < 0.8:
            output = items.FunctionCallOutputItem(call_id="c", output="seven", id=item_id)
            event = client.ItemCreate(item=output)
        else:
            call = items.FunctionCallItem(name="look", arguments="{}", id=item_id)
            event = client.ItemCreate(item=call)
        event.previous_item_id = rng.choice([None, None, None, "root", self.any_id()])
        self.bench.client(event)

    def delete_item(self) -> None:
        self.bench.client(client.ItemDelete(item_id=self.any_id()))

    def retrieve_item(self) -> None:
        self.bench.client(client.ItemRetrieve(item_id=self.any_id()))

    def create_response(self) -> None:
        rng = self.rng
        params: dict[str, Any] = {}
        if rng.random() < 0.3:
            params["conversation"] = rng.choice(["none", "auto"])
        if rng.random() < 0.3:
            params["metadata"] = {"number": str(rng.random())}
        if rng.random() < 0.2:
            params["input"] = [items.ItemReference(id=self.any_id()) for _ in range(2)]
        if rng.random() < 0.3:
            params["tools"] = rng.choice([[], [LOOK]])
            params["tool_choice"] = rng.choice(["none", "required", "auto", "wrong"])
        response = client.ResponseParams(**params)
        self.bench.client(client.ResponseCreate(response=response))

    def cancel_response(self) -> None:
        known = [*self.witness.responses, *list(self.witness.done)[-2:]]
        self.bench.client(
            client.ResponseCancel(response_id=self.rng.choice([None, *known]))
        )

    def update_session(self) -> None:
        rng = self.rng
        polite = {"type": "server_vad", "interrupt_response": False}
        detection = rng.choice([None, polite, {"type": "server_vad"}])
        patch: dict[str, Any] = rng.choice(
            [
                {"tools": [LOOK]},
                {"tools": []},
                {"instructions": f"Be {rng.random()}."},
                {"audio": {"input": {"turn_detection": detection}}},
                {"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}},
            ]
        )
        self.bench.update(**patch)

    def speak(self) -> None:
        probability = self.rng.choice([0.95, 0.02])
        for _ in range(self.rng.randint(1, 24)):
            self.do(lambda: self.bench.hear(probability, 0.032))


def run_scripts(seeds: range) -> None:
    ends: dict[str, int] = {}
    num_calls = 0
    for seed in seeds:
        script = Script(seed)
        try:
            script.run(60)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        for response in script.witness.done.values():
            ends[response.status] = ends.get(response.status, 0) + 1
        num_calls += script.witness.num_calls
    assert set(ends) == {"completed", "cancelled", "failed", "incomplete"}
    assert num_calls > len(seeds) / 2, "the scripts hardly ever see a call"


def test_what_a_session_tells_is_consistent_under_any_script() -> None:
    run_scripts(range(30))


@pytest.mark.parity
@pytest.mark.parametrize("thousand", range(10))
def test_what_a_session_tells_is_consistent_under_ten_thousand_scripts(
    thousand: int,
) -> None:
    run_scripts(range(1000 * thousand, 1000 * (thousand + 1)))


def test_the_witness_notices_what_is_wrong() -> None:
    response = wire.Response(
        id="r",
        status="in_progress",
        output=[],
        conversation_id="c",
        output_modalities=["text"],
        max_output_tokens="inf",
    )
    witness = Witness()
    witness.see(wire.ResponseCreated(response=response))
    with pytest.raises(AssertionError, match="twice"):
        witness.see(wire.ResponseCreated(response=response))
    delta = wire.TextDelta(
        response_id="r", item_id="i", output_index=0, content_index=0, delta="x"
    )
    with pytest.raises(AssertionError, match="without an item"):
        witness.see(delta)
