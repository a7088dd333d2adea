"""The orders for single changes; what they amount to in any order: test_prompt_random."""

import itertools

from assistant.turns import prompt
from assistant.turns.conversation import Item
from assistant.turns.mirror import Mirror
from assistant.wire import link
from tests.turns.items import picture, reply, user
from tests.turns.sequences import ReferenceEngine


def ordered(mirror: Mirror, reply_id: str, *items: Item) -> list[str]:
    """Ask for a reply to a conversation; return the names of the orders, told apart."""
    adapter = prompt.adapter_for(items)
    orders = mirror.orders(adapter, prompt.segments("", items), prompt.reply_key(reply_id))
    return names(orders)


def names(orders: list[link.Order]) -> list[str]:
    return [
        f"{type(order).__name__} {order.mark}"
        if isinstance(order, link.Mark | link.Rollback)
        else type(order).__name__
        for order in orders
    ]


FIRST = ["Open", "Mark 0", "Append", "Mark 1", "Append", "Mark 2", "Append"]
"""A question, its end and the header of the reply."""


def appended(sequence: int, *counts: int) -> link.Appended:
    text, image, audio = counts
    return link.Appended(
        sequence=sequence, num_tokens=0, num_text=text, num_image=image, num_audio=audio
    )


def test_every_append_has_a_mark_before_it() -> None:
    assert ordered(Mirror(itertools.count(1)), "2", user("1", "Hi")) == FIRST


def test_a_reply_in_the_history_is_not_read_again() -> None:
    mirror = Mirror(itertools.count(1))
    ordered(mirror, "2", user("1", "Hi"))
    again = ordered(mirror, "4", user("1", "Hi"), reply("2", 5), user("3", "So"))
    assert again[0] == "Rollback 0", "the first item is another one of the same id"
    first = user("1", "Hi")
    mirror = Mirror(itertools.count(1))
    ordered(mirror, "2", first)
    again = ordered(mirror, "4", first, reply("2", 5), user("3", "So"))
    end, question, end_of_question, header = (f"Mark {n}" for n in range(3, 7))
    assert again == [
        end, "Append", question, "Append", end_of_question, "Append", header, "Append"
    ]  # fmt: skip


def test_a_reply_that_left_nothing_is_cut_off() -> None:
    mirror = Mirror(itertools.count(1))
    first = user("1", "Hi")
    ordered(mirror, "2", first)
    assert ordered(mirror, "3", first) == ["Rollback 2", "Mark 2", "Append"]


def test_a_change_of_adapter_closes_the_sequence_and_opens_another_number() -> None:
    mirror = Mirror(itertools.count(7))
    ordered(mirror, "2", user("1", "Hi"))
    assert ordered(mirror, "4", user("1", "Hi"), picture("3"))[:2] == ["Close", "Open"]
    assert mirror.sequence == 8


def test_after_an_engine_death_everything_is_read_again_without_a_close() -> None:
    mirror = Mirror(itertools.count(1))
    first = user("1", "Hi")
    ordered(mirror, "2", first)
    mirror.forget()
    assert mirror.sequence is None
    assert ordered(mirror, "2", first) == FIRST


def test_closing_is_one_order_and_closing_nothing_none() -> None:
    mirror = Mirror(itertools.count(1))
    assert mirror.close() == []
    ordered(mirror, "2", user("1", "Hi"))
    assert mirror.close() == [link.Close(1)]
    assert mirror.close() == []


def test_costs_belong_to_the_segments_in_the_order_of_their_appends() -> None:
    mirror = Mirror(itertools.count(1))
    item = picture("1")
    wanted = prompt.segments("", [item])
    ordered(mirror, "2", item)
    mirror.serve()
    assert mirror.known_cost(wanted) == 0
    for counts in ((1, 276, 0), (1, 0, 0), (1, 0, 0)):
        mirror.receive_appended(appended(1, *counts))
    assert mirror.known_cost(wanted) == 278
    assert (mirror.held_cost().num_image, mirror.held_cost().total) == (276, 279)


def test_answers_of_another_sequence_and_surplus_ones_are_not_counted() -> None:
    mirror = Mirror(itertools.count(1))
    mirror.receive_appended(appended(1, 5, 0, 0))
    ordered(mirror, "2", user("1", "Hi"))
    mirror.receive_appended(appended(9, 5, 0, 0))
    assert mirror.held_cost().total == 0
    for _ in range(5):
        mirror.receive_appended(appended(1, 5, 0, 0))
    assert mirror.held_cost().total == 15


def test_costs_are_known_across_sequences_until_they_are_pruned() -> None:
    mirror = Mirror(itertools.count(1))
    item = user("1", "Hi")
    wanted = prompt.segments("", [item])
    ordered(mirror, "2", item)
    mirror.serve()
    mirror.receive_appended(appended(1, 5, 0, 0))
    mirror.forget()
    mirror.prune_costs(wanted)
    assert mirror.known_cost(wanted) == 5
    mirror.prune_costs([])
    assert mirror.known_cost(wanted) == 0


def test_a_second_turn_of_a_long_conversation_reads_only_what_is_new() -> None:
    engine, mirror = ReferenceEngine(), Mirror(itertools.count(1))
    items: list[Item] = []
    num_read = []
    for number in range(40):
        items.append(user(f"u{number}", "Hi"))
        reply_id = f"r{number}"
        adapter = prompt.adapter_for(items)
        segments = prompt.segments("Be brief.", items)
        before = engine.num_read
        for order in mirror.orders(adapter, segments, prompt.reply_key(reply_id)):
            engine.receive(order)
        num_read.append(engine.num_read - before)
        sequence = engine.sequences[1]
        sequence.read.append(("token", number))
        items.append(reply(reply_id, number))
    assert num_read[0] == 7
    assert set(num_read[1:]) == {5}


def test_what_is_held_already_is_not_ordered_again() -> None:
    mirror = Mirror(itertools.count(1))
    wanted = prompt.segments("Be brief.", [user("1", "Hi")], is_open=True)
    assert names(mirror.orders("speech", wanted))[0] == "Open"
    assert mirror.orders("speech", wanted) == []


def test_wanting_less_is_one_rollback() -> None:
    mirror = Mirror(itertools.count(1))
    first = user("1", "Hi")
    ordered(mirror, "2", first)
    less = prompt.segments("", [first], is_open=True)
    assert names(mirror.orders("none", less)) == ["Rollback 1"]


def test_what_no_answer_was_built_on_is_wasted_when_it_is_cut() -> None:
    mirror = Mirror(itertools.count(1))
    first = user("1", "Hi")
    ordered(mirror, "2", first)
    mirror.serve()
    for _ in range(3):
        mirror.receive_appended(appended(1, 5, 0, 0))
    ordered(mirror, "3", first, user("2", "Guess"))
    # The answer to the second one is known to have been read, its header is not yet.
    for _ in range(2):
        mirror.receive_appended(appended(1, 7, 0, 0))
    assert mirror.tally.num_wasted == 0
    ordered(mirror, "4", first)
    assert mirror.tally.num_wasted == 14
    mirror.receive_appended(appended(1, 1, 0, 0))
    assert mirror.tally.num_wasted == 15, "what was under way when it was cut counts too"
    assert mirror.tally.num_read == 30


def test_what_an_answer_was_built_on_is_read_again_and_not_wasted() -> None:
    mirror = Mirror(itertools.count(1))
    first = user("1", "Hi")
    for number in range(2):
        ordered(mirror, str(number), first)
        mirror.serve()
        for _ in range(3):
            mirror.receive_appended(appended(number + 1, 5, 0, 0))
        mirror.close()
    # Its header is another one each time.
    assert (mirror.tally.num_reread, mirror.tally.num_wasted) == (10, 0)


def test_what_was_only_read_ahead_costs_nothing_until_it_is_served() -> None:
    mirror = Mirror(itertools.count(1))
    wanted = prompt.segments("", [user("1", "Hi")])
    mirror.orders("none", wanted)
    for _ in range(2):
        mirror.receive_appended(appended(1, 5, 0, 0))
    assert mirror.known_cost(wanted) == 0
    mirror.serve()
    assert mirror.known_cost(wanted) == 10


def test_a_reply_that_is_ended_here_took_what_the_engine_has_told_of() -> None:
    mirror = Mirror(itertools.count(1))
    assert mirror.usage_so_far(0).total_tokens == 0
    item = picture("1")
    ordered(mirror, "2", item)
    for counts in ((1, 276, 0), (1, 0, 0)):
        mirror.receive_appended(appended(1, *counts))
    usage = mirror.usage_so_far(5)
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (278, 5, 283)
    details = usage.input_token_details
    assert (details.text_tokens, details.image_tokens, details.cached_tokens) == (2, 276, 0)
    mirror.receive_appended(appended(1, 1, 0, 0))
    mirror.receive_reply(5)
    ordered(mirror, "3", item, reply("2", 5), user("4", "Hi"))
    assert mirror.usage_so_far(0).input_token_details.cached_tokens == 279 + 5


def test_a_sequence_in_the_background_is_opened_as_one() -> None:
    mirror = Mirror(itertools.count(1), is_background=True)
    (opened, *_) = mirror.orders("speech", prompt.segments("", [user("1", "Hi")]))
    assert opened == link.Open(1, "speech", is_background=True)
