from hypothesis import given, strategies as st

from assistant.media.rtp_numbers import Numbered, SequenceNumbers, Timestamps


def numbers(sequences: list[int]) -> list[int | None]:
    """What each sequence number is continued to, None where it is not believed."""
    unwrap = SequenceNumbers()
    found = [unwrap.receive(sequence) for sequence in sequences]
    return [None if one is None else one.number for one in found]


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-99, 500), max_size=60))
def test_sequence_numbers_go_on_over_the_wrap(first: int, offsets: list[int]) -> None:
    unwrap = SequenceNumbers()
    start = unwrap.receive(first)
    assert start == Numbered(first, restarted=True)
    newest = 0
    for offset in offsets:
        at = newest + offset
        newest = max(newest, at)
        assert unwrap.receive(first + at & 0xFFFF) == Numbered(first + at, restarted=False)


def test_one_stray_packet_is_not_believed_and_changes_nothing() -> None:
    assert numbers([7, 30_000, 8, 9]) == [7, None, 8, 9]


def test_two_in_a_row_far_away_are_a_new_beginning_and_numbers_still_grow() -> None:
    unwrap = SequenceNumbers()
    unwrap.receive(50_000)
    assert unwrap.receive(20) is None
    assert unwrap.receive(21) == Numbered(0x10000 + 21, restarted=True)
    assert unwrap.receive(22) == Numbered(0x10000 + 22, restarted=False)


def test_after_forgetting_the_next_packet_is_believed_at_once() -> None:
    unwrap = SequenceNumbers()
    unwrap.receive(5)
    unwrap.forget()
    assert unwrap.receive(6) == Numbered(0x10000 + 6, restarted=True)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**30), 2**30), max_size=40))
def test_timestamps_go_on_over_the_wrap(first: int, steps: list[int]) -> None:
    unwrap = Timestamps()
    assert unwrap.receive(first) == first
    at = first
    for step in steps:
        at += step
        assert unwrap.receive(at & 0xFFFFFFFF) == at
