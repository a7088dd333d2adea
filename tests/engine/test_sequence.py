import pytest

from assistant.engine.sequence import Chunk, PendingAppend, Sequence, text_chunk
from assistant.errors import RequestRefused
from assistant.wire.link import Sampling

SAMPLING = Sampling(max_tokens=8)


def a_sequence(max_tokens: int = 100) -> Sequence:
    return Sequence((0, 1), "vision", max_tokens)


def image(num_tokens: int) -> Chunk:
    return Chunk(kind="image", num_tokens=num_tokens, media="picture", is_encoded=False)


def ids_of(sequence: Sequence) -> list[int]:
    return [token for chunk in sequence.chunks for token in chunk.ids]


def replied(num_output: int) -> Sequence:
    """Return a sequence of 3 prompt tokens and a reply 100, 101, … that has ended."""
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2, 3])])
    sequence.begin(7, SAMPLING, now=0.0)
    for number in range(num_output):
        sequence.receive_computed(sequence.num_tokens)
        sequence.append_token(100 + number)
    sequence.end()
    return sequence


# --- growing ---------------------------------------------------------------------------


def test_an_append_counts_its_tokens_by_kind() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2]), image(5), text_chunk([3])])
    assert sequence.num_tokens == 8
    assert list(sequence.pending) == [PendingAppend(end=8, num_text=3, num_image=5)]


def test_an_append_over_the_budget_adds_nothing_and_names_value_and_bound() -> None:
    sequence = a_sequence(max_tokens=10)
    sequence.append([text_chunk([1] * 6)])
    with pytest.raises(RequestRefused, match="11 tokens, the bound is 10") as refused:
        sequence.append([text_chunk([2]), image(4)])
    assert refused.value.code == "context_length_exceeded"
    assert sequence.num_tokens == 6
    assert len(sequence.chunks) == 1
    assert len(sequence.pending) == 1


def test_an_append_may_fill_the_budget_exactly() -> None:
    sequence = a_sequence(max_tokens=10)
    sequence.append([image(10)])
    assert sequence.num_tokens == 10


def test_pieces_are_the_parts_of_chunks_in_a_range() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2, 3]), image(4), text_chunk([4])])
    pieces = sequence.pieces(2, 6)
    assert [(p.chunk.kind, p.low, p.high) for p in pieces] == [
        ("text", 2, 3),
        ("image", 0, 3),
    ]
    assert [(p.chunk.kind, p.low, p.high) for p in sequence.pieces(6, 8)] == [
        ("image", 3, 4),
        ("text", 0, 1),
    ]


# --- answers to appends ----------------------------------------------------------------


def test_an_append_is_answered_once_and_when_it_is_computed_to_its_end() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2])])
    sequence.append([text_chunk([3])])
    sequence.receive_computed(1)
    assert sequence.pop_prefilled() == []
    sequence.receive_computed(3)
    assert [append.end for append in sequence.pop_prefilled()] == [2, 3]
    assert sequence.pop_prefilled() == []


def test_a_refused_append_is_answered_after_those_before_it() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2])])
    sequence.refuse("image_invalid", "no picture")
    assert sequence.pop_prefilled() == []
    sequence.receive_computed(2)
    first, second = sequence.pop_prefilled()
    assert first.refusal is None
    assert second.refusal == ("image_invalid", "no picture")
    assert sequence.failure == "image_invalid"


def test_an_empty_append_is_answered_at_once() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([])])
    assert len(sequence.pop_prefilled()) == 1
    assert sequence.chunks == []


def test_an_empty_append_behind_a_shortened_reply_is_answered() -> None:
    sequence = replied(2)
    sequence.pop_prefilled()
    sequence.append([])
    assert sequence.pop_prefilled() == []  # the reply's last token is not computed
    sequence.keep(7, 1)
    assert len(sequence.pop_prefilled()) == 1


def test_failing_refuses_everything_pending_with_the_same_code() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1])])
    sequence.refuse("first", "why")
    failed = sequence.fail("second", "because")
    assert [append.refusal for append in failed] == [
        ("second", "because"),
        ("first", "why"),
    ]
    assert sequence.failure == "first"
    assert not sequence.pending


# --- rollback --------------------------------------------------------------------------


def test_a_rollback_restores_the_state_of_its_mark() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2])])
    sequence.receive_computed(2)
    sequence.mark(1)
    sequence.append([image(4), text_chunk([3])])
    sequence.receive_computed(5)
    sequence.rollback(1)
    assert (sequence.num_tokens, sequence.num_computed) == (2, 2)
    assert ids_of(sequence) == [1, 2]


def test_a_rollback_forgets_later_marks_and_keeps_its_own() -> None:
    sequence = a_sequence()
    sequence.mark(1)
    sequence.append([text_chunk([1])])
    sequence.mark(2)
    sequence.rollback(1)
    assert sequence.marks == {1: 0}
    with pytest.raises(RequestRefused, match="mark 2") as refused:
        sequence.rollback(2)
    assert refused.value.code == "unknown_mark"


def test_a_mark_may_be_set_again_further_on() -> None:
    sequence = a_sequence()
    sequence.mark(1)
    sequence.append([text_chunk([1])])
    sequence.mark(1)
    sequence.rollback(1)
    assert sequence.num_tokens == 1


def test_appends_that_a_rollback_cuts_off_keep_their_place_in_the_order() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1])])
    sequence.mark(1)
    sequence.append([text_chunk([2])])
    sequence.refuse("image_invalid", "no picture")
    sequence.rollback(1)
    assert [append.end for append in sequence.pending] == [1, 1, 1]
    assert sequence.failure is None
    assert sequence.pop_prefilled() == []
    sequence.receive_computed(1)
    answers = [append.refusal for append in sequence.pop_prefilled()]
    assert answers == [None, None, ("image_invalid", "no picture")]


# --- replies ---------------------------------------------------------------------------


def test_a_reply_to_a_computed_prompt_reads_its_last_token_again() -> None:
    sequence = a_sequence()
    sequence.append([text_chunk([1, 2])])
    sequence.receive_computed(2)
    sequence.begin(1, SAMPLING, now=0.0)
    assert sequence.num_computed == 1
    assert sequence.can_decode


def test_a_prompt_that_ends_in_a_picture_cannot_be_decoded_from_a_token() -> None:
    sequence = a_sequence()
    sequence.append([image(1)])
    sequence.begin(1, SAMPLING, now=0.0)
    assert not sequence.can_decode


def test_there_is_no_reply_to_nothing() -> None:
    with pytest.raises(RequestRefused) as refused:
        a_sequence().begin(1, SAMPLING, now=0.0)
    assert refused.value.code == "empty_prompt"


def test_there_is_no_reply_in_a_full_sequence() -> None:
    sequence = a_sequence(max_tokens=3)
    sequence.append([text_chunk([1, 2, 3])])
    with pytest.raises(RequestRefused, match="3 tokens, the bound is 3") as refused:
        sequence.begin(1, SAMPLING, now=0.0)
    assert refused.value.code == "context_length_exceeded"


def test_the_tokens_of_a_reply_become_part_of_the_sequence() -> None:
    sequence = replied(3)
    assert ids_of(sequence) == [1, 2, 3, 100, 101, 102]
    assert sequence.num_tokens - sequence.num_computed == 1


@pytest.mark.parametrize("num_kept", range(5))
def test_keeping_shortens_the_latest_reply_and_never_lengthens_it(num_kept: int) -> None:
    sequence = replied(3)
    sequence.keep(7, num_kept)
    assert ids_of(sequence) == [1, 2, 3, 100, 101, 102][: 3 + num_kept]
    assert sequence.num_computed <= sequence.num_tokens
    sequence.keep(7, 0)
    assert ids_of(sequence) == [1, 2, 3]


def test_keeping_part_of_another_reply_changes_nothing() -> None:
    sequence = replied(3)
    sequence.keep(6, 0)
    assert sequence.num_tokens == 6


def test_a_reply_that_something_follows_is_not_shortened() -> None:
    sequence = replied(3)
    sequence.append([text_chunk([9])])
    sequence.keep(7, 0)
    assert sequence.num_tokens == 7


def test_what_the_latest_reply_left_computed_counts_as_cached() -> None:
    sequence = replied(3)
    sequence.append([text_chunk([9, 9])])
    sequence.receive_computed(8)
    sequence.begin(8, SAMPLING, now=0.0)
    assert sequence.generation is not None
    assert sequence.generation.num_prompt == 8
    assert sequence.generation.num_cached == 5


def test_an_evicted_sequence_has_nothing_cached_and_all_of_its_content() -> None:
    sequence = replied(3)
    sequence.evict()
    sequence.begin(8, SAMPLING, now=0.0)
    assert sequence.generation is not None
    assert sequence.generation.num_cached == 0
    assert (sequence.num_computed, sequence.num_tokens) == (0, 6)
