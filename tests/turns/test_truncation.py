import pytest

from assistant.turns.truncation import Bounds, bounds, checked
from assistant.wire.client_events import RetentionRatio
from assistant.wire.refusals import EventRefused


@pytest.mark.parametrize("policy", ["auto", "disabled"])
def test_trimming_leaves_room_for_the_next_turns(policy: str) -> None:
    assert bounds(policy, 1000, 100) == Bounds(1000, 750)


def test_a_ratio_is_of_what_follows_the_instructions() -> None:
    policy = {"type": "retention_ratio", "retention_ratio": 0.5}
    assert bounds(policy, 1000, 100) == Bounds(1000, 550)


@pytest.mark.parametrize(("asked", "most", "kept"), [(400, 500, 420), (5000, 1000, 820)])
def test_a_limit_behind_the_instructions_is_kept_where_it_is_the_smaller(
    asked: int, most: int, kept: int
) -> None:
    policy = {
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": asked},
    }
    assert bounds(policy, 1000, 100) == Bounds(most, kept)


def test_a_limit_that_was_not_given_is_none() -> None:
    policy = {"retention_ratio": 0, "token_limits": {"post_instructions": None}}
    assert bounds(policy, 1000, 0) == Bounds(1000, 0)


def test_a_policy_is_taken_as_it_was_asked_for_and_auto_where_none_was() -> None:
    assert checked("disabled") == "disabled"
    assert checked(None) == "auto"
    ratio = checked(RetentionRatio(retention_ratio=0.5))
    assert ratio == {"type": "retention_ratio", "retention_ratio": 0.5}


def test_a_ratio_beyond_one_is_refused() -> None:
    with pytest.raises(EventRefused, match="retention_ratio"):
        checked(RetentionRatio(retention_ratio=1.1))
