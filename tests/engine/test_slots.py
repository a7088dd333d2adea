from assistant.engine.slots import Slots


def test_an_owner_keeps_its_row_until_it_gives_it_back() -> None:
    slots: Slots[str] = Slots(2)
    first = slots.take("a")
    assert slots.get("a") == first
    slots.give_back("a")
    assert slots.get("a") is None


def test_rows_are_handed_out_lowest_first_and_never_twice() -> None:
    slots: Slots[str] = Slots(3)
    assert [slots.take(owner) for owner in "abc"] == [0, 1, 2]
    assert slots.take("d") is None


def test_a_row_given_back_is_free_again() -> None:
    slots: Slots[str] = Slots(1)
    slots.take("a")
    slots.give_back("a")
    assert slots.num_free == 1
    assert slots.take("b") == 0


def test_giving_back_nothing_changes_nothing() -> None:
    slots: Slots[str] = Slots(1)
    slots.give_back("a")
    assert slots.num_free == 1


def test_owners_come_least_recently_used_first() -> None:
    slots: Slots[str] = Slots(3)
    for owner in "abc":
        slots.take(owner)
    slots.touch("a")
    slots.touch("nobody")
    assert list(slots.owners()) == ["b", "c", "a"]
