from typing import Any

import msgspec
import pytest

from assistant.config import WatchConfig
from assistant.turns.watch_settings import WISH, WatchSettings, updated
from assistant.wire.client_events import WatchPatch
from assistant.wire.refusals import EventRefused

CONFIG = WatchConfig()


def wished(
    current: WatchSettings | None = None, config: WatchConfig = CONFIG, /, **keys: Any
) -> WatchSettings:
    changed = updated(current, msgspec.convert(keys, WatchPatch), config)
    assert changed is not None
    return changed


STAR = wished(instruction="Do you see a star?")


def test_an_instruction_is_all_that_a_watch_needs() -> None:
    assert STAR.to_wire() == {
        "instruction": "Do you see a star?",
        "on": "change",
        "say": "once",
        "interval_ms": CONFIG.interval_ms,
        "still_ms": CONFIG.still_ms,
        "min_novelty": CONFIG.min_novelty,
        "min_gap_ms": CONFIG.min_gap_ms,
        "max_per_minute": CONFIG.max_per_minute,
    }


def test_a_question_is_asked_as_it_is_and_a_wish_says_what_to_answer_if_not() -> None:
    assert STAR.words == "Do you see a star?"
    light = wished(instruction="  Say when the {light} turns green. ")
    assert light.words == WISH.replace("{instruction}", "Say when the {light} turns green.")


def test_absent_is_unchanged_null_the_services_and_a_null_watch_none() -> None:
    changed = wished(STAR, on="interval", say="changes", min_gap_ms=0)
    assert wished(changed) == changed
    assert wished(changed, on=None, say=None, min_gap_ms=None) == STAR
    assert updated(STAR, msgspec.UNSET, CONFIG) == STAR
    assert updated(STAR, None, CONFIG) is None


@pytest.mark.parametrize(
    ("keys", "param", "code"),
    [
        ({}, ".instruction", "missing_required_parameter"),
        ({"instruction": " "}, ".instruction", "missing_required_parameter"),
        ({"instruction": "x" * 2001}, ".instruction", "invalid_value"),
        ({"instruction": "x", "interval_ms": 249}, ".interval_ms", "invalid_value"),
        ({"instruction": "x", "interval_ms": 3_600_001}, ".interval_ms", "invalid_value"),
        ({"instruction": "x", "still_ms": 0}, ".still_ms", "invalid_value"),
        ({"instruction": "x", "min_novelty": 1.01}, ".min_novelty", "invalid_value"),
        ({"instruction": "x", "min_gap_ms": -1}, ".min_gap_ms", "invalid_value"),
        ({"instruction": "x", "max_per_minute": 0}, ".max_per_minute", "invalid_value"),
        ({"instruction": "x", "max_per_minute": 7}, ".max_per_minute", "invalid_value"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(
    keys: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(EventRefused) as refused:
        wished(**keys)
    assert refused.value.param == "session.assistant.watch" + param
    assert refused.value.code == code


def test_a_service_may_refuse_to_watch() -> None:
    with pytest.raises(EventRefused, match="does not watch"):
        wished(None, WatchConfig(enabled=False), instruction="x")
    assert updated(STAR, None, WatchConfig(enabled=False)) is None
