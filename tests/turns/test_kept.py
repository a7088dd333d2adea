import itertools

from assistant.turns import prompt
from assistant.turns.conversation import Item
from assistant.turns.kept import Kept, by_content
from assistant.turns.mirror import Mirror
from assistant.turns.prompt import Segment
from assistant.wire import link
from tests.turns.items import picture, reply, spoken, user

ENGINE = object()
numbers = itertools.count(1)


def read(*items: Item, owner: str = "me") -> list[Segment]:
    return by_content(prompt.segments("Help.", items), owner)


def answered(*items: Item) -> Mirror:
    """Return the mirror of a sequence that has answered these."""
    mirror = Mirror(numbers)
    mirror.orders(prompt.adapter_for(items), read(*items), prompt.reply_key("reply"))
    return mirror


HELLO = (user("a", "Hello"),)
MORE = (user("x", "Hello"), reply("y"), user("z", "Bye"))


def test_equal_content_of_one_owner_has_equal_keys_and_nothing_else_has() -> None:
    keys = [[s.key for s in found] for found in (read(*HELLO), read(user("b", "Hello")))]
    assert keys[0] == keys[1]
    assert [s.parts for s in read(*HELLO)] == [
        s.parts for s in prompt.segments("Help.", HELLO)
    ]
    for other in (read(user("a", "Hallo")), read(*HELLO, owner="you")):
        assert other[1].key != keys[0][1]
    assert read(*HELLO, owner="you")[0].key != keys[0][0]
    assert read(picture("a"))[1].key != read(spoken("a"))[1].key


def test_the_next_request_of_a_conversation_gets_what_has_read_most_of_it() -> None:
    kept = Kept(60)
    mirrors = [answered(user("q", "Other")), answered(*HELLO), answered(user("r", "Third"))]
    for mirror in mirrors:
        assert kept.put(ENGINE, mirror, 0.0, most=3) == []
    assert kept.take(ENGINE, "none", read(*MORE)) is mirrors[1]
    assert kept.take(ENGINE, "none", read(*MORE, owner="you")) is None
    assert kept.take(ENGINE, "speech", read(*MORE)) is None


def test_a_sequence_serves_one_request_at_a_time() -> None:
    kept = Kept(60)
    kept.put(ENGINE, answered(*HELLO), 0.0, most=1)
    assert kept.take(ENGINE, "none", read(*HELLO)) is not None
    assert kept.take(ENGINE, "none", read(*HELLO)) is None


def test_those_that_served_longest_ago_are_closed_when_there_are_too_many() -> None:
    kept = Kept(60)
    mirrors = [answered(user("q", f"Question {number}")) for number in range(3)]
    first = mirrors[0].sequence
    orders = [kept.put(ENGINE, mirror, 0.0, most=2) for mirror in mirrors]
    assert orders == [[], [], [link.Close(first or 0)]]
    assert len(kept.put(ENGINE, answered(*HELLO), 0.0, most=-1)) == 3


def test_what_nobody_comes_back_for_is_closed_in_time() -> None:
    kept = Kept(60)
    old, fresh = answered(*HELLO), answered(*HELLO)
    sequence = old.sequence
    kept.put(ENGINE, old, 0.0, most=2)
    kept.put(ENGINE, fresh, 30.0, most=2)
    assert kept.expire(59.0) == []
    assert kept.expire(60.0) == [link.Close(sequence or 0)]
    assert kept.take(ENGINE, "none", read(*HELLO)) is fresh


def test_what_an_engine_held_is_gone_with_it() -> None:
    kept = Kept(60)
    kept.put(ENGINE, answered(*HELLO), 0.0, most=2)
    assert kept.take(object(), "none", read(*HELLO)) is None
    assert kept.take(ENGINE, "none", read(*HELLO)) is None
