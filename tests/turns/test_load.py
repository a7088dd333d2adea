import pytest

from assistant.turns.load import Load


def load(num_slots: int, num_answering: int = 0) -> Load:
    load = Load()
    load.num_slots = num_slots
    for number in range(num_answering):
        load.answer(number)
    return load


@pytest.mark.parametrize(
    ("num_slots", "num_answering", "room"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (1, 1, 0),
        (8, 0, 4),
        (8, 3, 2),
        (8, 6, 1),
        (8, 7, 0),
        (8, 9, 0),
    ],
)
def test_guesses_get_a_share_of_the_free_slots_and_none_before_they_run_out(
    num_slots: int, num_answering: int, room: int
) -> None:
    busy = load(num_slots, num_answering)
    allowed = 0
    while busy.allows(f"guess {allowed}", 0.5):
        busy.speculate(f"guess {allowed}")
        allowed += 1
    assert allowed == room


def test_when_the_room_shrinks_the_youngest_guess_must_go() -> None:
    busy = load(8)
    for name in "abcd":
        busy.speculate(name)
    assert [busy.allows(name, 0.5) for name in "abcd"] == [True] * 4
    for number in range(3):
        busy.answer(number)
    assert [busy.allows(name, 0.5) for name in "abcd"] == [True, True, False, False]


def test_a_confirmed_guess_is_an_answer_and_an_ended_one_nothing() -> None:
    busy = load(2)
    busy.speculate("a")
    busy.answer("a")
    assert not busy.allows("b", 0.5)
    busy.rest("a")
    busy.rest("a")
    assert busy.allows("b", 0.5)


def test_no_share_is_no_guess() -> None:
    assert not load(8).allows("a", 0.0)
