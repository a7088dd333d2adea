from typing import Any

import msgspec
import pytest

from assistant.config import BargeInConfig, Config, PairingConfig
from assistant.turns import extensions
from assistant.turns.extensions import Extensions
from assistant.wire.client_events import AssistantPatch
from assistant.wire.refusals import EventRefused

CONFIG = Config(
    pairing=PairingConfig(frames_per_turn=2, policy="latest", freshness_s=1.5),
    barge_in=BargeInConfig(backchannels="ignore", speaks_aloud="no"),
)
START = extensions.usual(CONFIG)


def update(current: Extensions = START, /, **keys: Any) -> Extensions:
    return extensions.updated(current, msgspec.convert(keys, AssistantPatch), CONFIG)


def test_a_session_starts_with_what_the_service_is_configured_to() -> None:
    assert START.to_wire() == {
        "events": [],
        "video": {"frames_per_turn": 2, "policy": "latest", "freshness_ms": 1500},
        "task": {"type": "assistant", "language": None},
        "backchannels": "ignore",
        "speaks_aloud": "no",
        "watch": None,
    }


def test_every_value_is_echoed_as_it_was_set() -> None:
    given = {
        "events": ["metrics"],
        "video": {"frames_per_turn": 0, "policy": "change", "freshness_ms": 250.5},
        "task": {"type": "translate", "language": "German"},
        "backchannels": "interrupt",
        "speaks_aloud": "yes",
    }
    changed = update(**given, watch={"instruction": "Is it red?"})
    shown = changed.to_wire()
    assert shown.pop("watch")["instruction"] == "Is it red?"
    assert shown == given
    assert changed.pairing.freshness_s == 0.2505


def test_an_empty_update_changes_nothing_and_null_brings_the_services_values_back() -> None:
    changed = update(
        video={"frames_per_turn": 3, "policy": "uniform", "freshness_ms": 1},
        backchannels="interrupt",
        speaks_aloud="yes",
        watch={"instruction": "x"},
    )
    assert update(changed) == update(changed, video={}, watch={}) == changed
    nulls = {"backchannels": None, "speaks_aloud": None, "watch": None}
    keys = {"frames_per_turn": None, "policy": None, "freshness_ms": None}
    assert update(changed, **nulls, video=keys) == START
    assert update(changed, **nulls, video=None) == START


def test_one_key_of_the_frames_leaves_the_others() -> None:
    changed = update(video={"policy": "change"})
    assert changed.pairing.policy == "change"
    assert (changed.pairing.frames_per_turn, changed.pairing.freshness_s) == (2, 1.5)


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"video": {"frames_per_turn": 17}}, "video.frames_per_turn"),
        ({"video": {"frames_per_turn": -1}}, "video.frames_per_turn"),
        ({"video": {"freshness_ms": -0.1}}, "video.freshness_ms"),
        ({"video": {"freshness_ms": 3_600_001}}, "video.freshness_ms"),
        ({"task": "sing"}, "task"),
        ({"watch": {"instruction": "x", "interval_ms": 1}}, "watch.interval_ms"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(keys: dict[str, Any], param: str) -> None:
    with pytest.raises(EventRefused) as refused:
        update(**keys)
    assert refused.value.param == f"session.assistant.{param}"
