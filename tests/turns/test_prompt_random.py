"""
Prompt, mirror and responder together: whatever happens, the engine reads a fresh prompt.

Random conversations meet random edits, cancels with tokens in flight, trimming, failures
and engine deaths, and all the while the engine reads ahead and answers what was not asked
yet. Before every reply that is given the engine must hold exactly what an engine that
knows nothing would be given, under the adapter it would be given it with; what is done
ahead leaves the conversation as it is and shows the client nothing.
"""

import contextlib
import itertools
import random
from typing import get_args

from assistant.config import Config, PairingConfig
from assistant.turns import prompt
from assistant.turns.actions import Action, Send, Tell
from assistant.turns.conversation import Conversation, Item
from assistant.turns.load import Load
from assistant.turns.mirror import Mirror
from assistant.turns.plan import Outlook
from assistant.turns.request import Request
from assistant.turns.responder import Responder
from assistant.wire import link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.rounds import rounds
from tests.turns import items
from tests.turns.sequences import ReferenceEngine, atoms

IDS = [f"item {number}" for number in range(6)]  # few, so that ids come back
INSTRUCTIONS = ["", "Be brief.", "Be long."]


class Bench:
    """A responder between a client and the reference engine, both of them random."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.max_tokens = self.draw.choice([90, 150, 100_000])
        self.engine = ReferenceEngine(self.max_tokens)
        self.conversation = Conversation(max_items=25, max_bytes=2**20)
        self.mirror = Mirror(itertools.count(1))
        self.actions: list[Action] = []
        self.numbers = itertools.count(1)
        self.request = Request(instructions="", max_output_tokens="inf")
        self.draft: Item | None = None
        self.open_responses = 0
        self.num_promoted = 0
        self.num_replies = 0
        self.is_alive = False
        pairing = PairingConfig(max_prompt_images=4, keep_prompt_images=2)
        self.responder = Responder(
            config=Config(pairing=pairing),
            conversation=self.conversation,
            conversation_id="conv",
            mirror=self.mirror,
            load=Load(),
            new_id=lambda kind: f"{kind} of the server {next(self.numbers)}",
            emit=self.actions.append,
        )
        self.live()

    # --- what may happen ----------------------------------------------------------------

    def insert(self) -> None:
        item = self.item()
        places = [None, None, None, "root", *(known.id for known in self.known())]
        with contextlib.suppress(EventRefused):  # a duplicate, or the list is full
            self.conversation.insert(item, self.draw.choice(places))

    def delete(self) -> None:
        if self.known():
            self.conversation.delete(self.draw.choice(self.known()).id)

    def attach_frames(self) -> None:
        user = [item for item in self.known() if item.role == "user" and not item.call]
        if user:
            item = self.draw.choice(user)
            number = next(self.numbers)
            item.frames = items.spoken(f"at {number}", num_frames=1).frames
            item.version += 1

    def replace_item(self) -> None:
        """As clients do that keep their own history: another item under the same id."""
        known = self.known()
        if known:
            index = self.draw.randrange(len(known))
            before = known[index - 1].id if index else "root"
            item = self.item(known[index].id)
            self.conversation.delete(item.id)
            self.conversation.insert(item, before)

    def respond(self) -> None:
        if self.responder.active_id is not None:
            return
        context = None
        if self.draw.random() < 0.15:
            references = self.draw.sample(self.known(), min(2, len(self.known())))
            context = [*references, self.item()]
        self.request = Request(
            instructions=self.draw.choice(INSTRUCTIONS),
            max_output_tokens="inf",
            items=context,
            truncation=self.draw.choice(["auto", "auto", "disabled"]),
        )
        self.responder.start(self.request, 0.0)

    def look_ahead(self, *, is_pause: bool | None = None) -> None:
        """Let the engine do what seems to come; often it will come so."""
        before = self.snapshot()
        request = Request(instructions=self.request.instructions, max_output_tokens="inf")
        expected = self.known()
        if self.draft is not None:
            expected = [*expected, self.draft]
        outlook = Outlook(
            items=expected,
            at_least=self.draw.choice(["none", "speech", "vision"]),
            is_pause=self.draw.random() < 0.6 if is_pause is None else is_pause,
        )
        num_actions = len(self.actions)
        self.responder.look_ahead(request, outlook, 0.0)
        assert not any(isinstance(a, Send) for a in self.actions[num_actions:])
        assert self.snapshot() == before

    def make_room(self) -> None:
        outlook = Outlook(items=self.known(), at_least="none", may_trim=True)
        self.responder.look_ahead(self.request, outlook, 0.0)

    def speak(self) -> None:
        """Begin an item, go on with it, or finish it and ask for an answer."""
        if self.draft is None:
            self.draft = items.spoken(f"spoken {next(self.numbers)}", num_frames=1)
        elif self.draw.random() < 0.3:
            self.draft.num_takes += 1
            self.draft.content = items.spoken("", str(next(self.numbers)).encode()).content
        elif self.responder.active_id is None:
            asked = self.request.instructions
            self.look_ahead(is_pause=True)
            self.carry_out()
            for happen in self.draw.sample([self.write, self.hear_engine, self.finish], 2):
                happen()
            self.request = Request(instructions=asked, max_output_tokens="inf")
            with contextlib.suppress(EventRefused):
                self.conversation.insert(self.draft)
            self.draft = None
            self.responder.start(self.request, 0.0)

    def cancel(self) -> None:
        if self.responder.active_id is not None:
            self.responder.cancel("turn_detected", 0.0)

    def write(self) -> None:
        for _ in range(self.draw.randint(1, 4)):
            self.engine.write(next(self.numbers), self.draw.choice(["", "word ", "word "]))

    def finish(self) -> None:
        code = self.draw.choice(["", "", "", "non_finite_logits"])
        self.engine.finish(self.draw.choice(["stop", "length"]), code)

    def hear_engine(self) -> None:
        """Let some of the reports that are under way arrive."""
        for _ in range(self.draw.randint(1, 8)):
            if self.engine.reports:
                self.responder.receive_report(self.engine.reports.popleft(), 0.0)
                self.carry_out()

    def time_out(self) -> None:
        deadline = self.responder.deadline()
        if deadline is not None and self.draw.random() < 0.2:
            self.responder.handle_timer(deadline)

    def die(self) -> None:
        if self.is_alive and self.draw.random() < 0.3:
            self.is_alive = False
            self.engine.die()
            self.responder.receive_engine(None, 0.0)

    def live(self) -> None:
        if not self.is_alive:
            self.is_alive = True
            ready = link.Ready(
                model="reference",
                device="cpu",
                dtype="float32",
                max_sequence_tokens=self.max_tokens,
                num_slots=1,
                is_meaningless=True,
            )
            self.responder.receive_engine(ready, 0.0)
            self.carry_out()

    # --- what must hold -----------------------------------------------------------------

    def step(self) -> None:
        happen = self.draw.choice(
            [self.insert] * 4
            + [self.respond] * 4
            + [self.write, self.hear_engine] * 4
            + [self.finish] * 3
            + [self.delete, self.replace_item, self.attach_frames, self.cancel]
            + [self.time_out, self.die, self.live, self.make_room]
            + [self.look_ahead, self.speak] * 4
        )
        happen()
        self.carry_out()

    def carry_out(self) -> None:
        """Give the orders to the engine and check what it reads before a reply."""
        actions = self.actions[:]
        self.actions.clear()
        for action in actions:
            if isinstance(action, Send):
                self.open_responses += isinstance(action.event, wire.ResponseCreated)
                self.open_responses -= isinstance(action.event, wire.ResponseDone)
                assert self.open_responses in (0, 1)
            elif isinstance(action, Tell):
                self.engine.receive(action.order)
                self.num_promoted += isinstance(action.order, link.Promote)
        if self.engine.asked is not None:
            self.check_asked(self.engine.asked)
            self.engine.asked = None
            self.num_replies += 1

    def check_asked(self, asked: list[tuple[str, object]]) -> None:
        context = self.request.items
        shown = self.conversation.items if context is None else context
        fresh = prompt.segments(self.request.instructions, shown)
        parts = [part for segment in fresh for part in segment.parts]
        assert asked == atoms([*parts, prompt.REPLY_HEADER])
        sequence = self.mirror.sequence
        assert sequence is not None
        assert list(self.engine.sequences) == [sequence], "a sequence was left open"
        assert self.engine.sequences[sequence].adapter == prompt.adapter_for(shown)

    def snapshot(self) -> list[object]:
        return [(i, i.version, i.is_in_prompt, i.num_bytes()) for i in self.known()]

    def known(self) -> list[Item]:
        return self.conversation.items

    def item(self, item_id: str | None = None) -> Item:
        kind = self.draw.choice(get_args(items.Kind))
        chosen = item_id or self.draw.choice(IDS)
        return items.of_kind(kind, chosen, next(self.numbers))


@rounds(20, 160)
def test_before_every_reply_the_engine_holds_what_a_fresh_prompt_would_say(
    rounds: int,
) -> None:
    num_replies = num_promoted = 0
    for seed in range(rounds):
        bench = Bench(seed)
        try:
            for _ in range(150):
                bench.step()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        num_replies += bench.num_replies
        num_promoted += bench.num_promoted
    assert num_replies > 4 * rounds, "the schedules hardly ever ask for a reply"
    assert num_promoted > rounds, "the schedules hardly ever guess right"


@rounds(8, 20)
def test_costs_are_those_of_what_is_held_once_every_answer_has_come(rounds: int) -> None:
    for seed in range(rounds):
        bench = Bench(seed)
        for _ in range(60):
            bench.step()
            bench.live()
            while bench.engine.reports:
                bench.hear_engine()
            if bench.mirror.sequence is None or bench.responder.active_id is not None:
                continue
            read = bench.engine.sequences[bench.mirror.sequence].read
            held = bench.mirror.held_cost()
            media = [atom for atom in read if atom[0] in ("image", "audio")]
            assert held.num_image == 7 * sum(kind == "image" for kind, _ in media)
            assert held.num_audio == 5 * sum(kind == "audio" for kind, _ in media)
