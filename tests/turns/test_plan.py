import itertools

from assistant.config import Config, PairingConfig, ReplyConfig
from assistant.turns import prompt
from assistant.turns.conversation import Conversation, Item
from assistant.turns.mirror import Mirror
from assistant.turns.plan import Outlook, Plans
from assistant.turns.request import Request
from assistant.wire import link
from tests.turns.items import picture, reply, spoken, user

REQUEST = Request(instructions="Be brief.", max_output_tokens="inf")


class Desk:
    """Plans over a conversation; every segment that was served costs 10 tokens."""

    def __init__(self, config: Config | None = None, *, budget: int = 4096) -> None:
        self.conversation = Conversation(100, 2**20)
        self.mirror = Mirror(itertools.count(1))
        self.plans = Plans(config or Config(), self.conversation, self.mirror)
        self.plans.budget = budget

    def add(self, *items: Item) -> None:
        for item in items:
            self.conversation.insert(item)

    def serve(self) -> None:
        segments = prompt.segments(REQUEST.instructions, self.conversation.items)
        for order in self.mirror.orders("none", segments):
            if isinstance(order, link.Append):
                self.mirror.receive_appended(
                    link.Appended(
                        sequence=1, num_tokens=0, num_text=10, num_image=0, num_audio=0
                    )
                )
        self.mirror.serve()


def test_what_is_guessed_is_what_is_settled_if_the_item_comes_as_expected() -> None:
    desk = Desk(Config(pairing=PairingConfig(max_prompt_images=1, keep_prompt_images=1)))
    desk.add(picture("1", "look"), reply("2", 5))
    said = spoken("3", num_frames=1)
    before = [item.num_images() for item in desk.conversation.items]
    guess = desk.plans.guess(REQUEST, [*desk.conversation.items, said], 1)
    assert guess is not None
    assert [item.num_images() for item in desk.conversation.items] == before
    desk.add(said)
    settled = desk.plans.settle(REQUEST, 1)
    assert guess.gives_the_same_as(settled)
    assert [part for s in guess.segments for part in s.parts] == [
        part for s in settled.segments for part in s.parts
    ]
    assert desk.conversation.items[0].num_images() == 0, (
        "the old picture is let go only now"
    )


def test_plans_differ_by_prompt_adapter_and_sampling() -> None:
    desk = Desk()
    desk.add(user("1", "Hi"))
    plan = desk.plans.settle(REQUEST, 1)
    assert plan.gives_the_same_as(desk.plans.settle(REQUEST, 1))
    other_words = Request(instructions="Be long.", max_output_tokens="inf")
    fewer = Request(instructions="Be brief.", max_output_tokens=5)
    assert not plan.gives_the_same_as(desk.plans.settle(other_words, 1))
    assert not plan.gives_the_same_as(desk.plans.settle(fewer, 1))
    assert not plan.gives_the_same_as(desk.plans.settle(REQUEST, 2)), "another seed"
    desk.add(spoken("2"))
    assert not plan.gives_the_same_as(desk.plans.settle(REQUEST, 1))


def test_the_seed_counts_responses() -> None:
    desk = Desk(Config(reply=ReplyConfig(seed=40)))
    desk.add(user("1", "Hi"))
    assert desk.plans.settle(REQUEST, 2).sampling.seed == 42


def test_an_opening_leaves_out_the_end_of_what_the_user_may_go_on_with() -> None:
    desk = Desk()
    said = spoken("1", num_frames=1)
    said.content = []
    opening = desk.plans.opening(REQUEST, Outlook(items=[said], at_least="speech"))
    assert opening is not None
    adapter, segments = opening
    assert adapter == "vision", "the frame says more than what is expected"
    parts = [part for segment in segments for part in segment.parts]
    assert parts[-1] == link.ImagePart(b"1 frame 0", 1)


def test_nothing_is_guessed_that_would_have_to_be_trimmed() -> None:
    desk = Desk(budget=100)
    desk.add(user("1", "a"), reply("2", 5), user("3", "b"))
    items = desk.conversation.items
    assert desk.plans.guess(REQUEST, items, 1) is not None
    desk.serve()
    assert desk.plans.guess(REQUEST, items, 1) is None
    assert desk.plans.opening(REQUEST, Outlook(items=items, at_least="none")) is None


def test_room_is_made_before_the_history_is_full() -> None:
    for budget, num_left in ((200, 7), (130, 3)):
        desk = Desk(budget=budget)
        desk.add(user("1", "a"), reply("2", 5), user("3", "b"), reply("4", 6))
        desk.add(user("5", "c"), reply("6", 7), user("7", "d"))
        desk.serve()  # 120 to 130 tokens
        desk.plans.make_room(REQUEST)
        shown = [item for item in desk.conversation.items if item.is_in_prompt]
        assert len(shown) <= num_left


def test_a_client_that_forbids_trimming_is_obeyed() -> None:
    desk = Desk(budget=100)
    desk.add(user("1", "a"), reply("2", 5), user("3", "b"))
    desk.serve()
    request = Request(
        instructions="Be brief.", max_output_tokens="inf", truncation="disabled"
    )
    desk.plans.make_room(request)
    desk.plans.settle(request, 1)
    assert all(item.is_in_prompt for item in desk.conversation.items)
