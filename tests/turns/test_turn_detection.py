from typing import Any

import msgspec
import pytest

from assistant.config import EndpointingConfig
from assistant.turns import turn_detection
from assistant.turns.endpointing import Endpointing
from assistant.turns.turn_detection import SILENCE_MS_BY_EAGERNESS, TurnDetection
from assistant.wire.client_events import TurnDetectionPatch
from assistant.wire.refusals import EventRefused

ENDPOINTING = Endpointing.from_config(
    EndpointingConfig(threshold=0.4, prefix_padding_ms=200, silence_duration_ms=450)
)
SERVER = turn_detection.default("server_vad", ENDPOINTING)
SEMANTIC = turn_detection.default("semantic_vad", ENDPOINTING)


def updated(current: TurnDetection | None, patch: dict[str, Any] | None) -> TurnDetection:
    """Apply keys as a client sends them to what is set."""
    found = turn_detection.updated(
        current, msgspec.convert(patch, TurnDetectionPatch | None), ENDPOINTING
    )
    assert found is not None
    return found


def test_the_defaults_are_the_services() -> None:
    assert SERVER.to_wire() == {
        "type": "server_vad",
        "threshold": 0.4,
        "prefix_padding_ms": 200,
        "silence_duration_ms": 450,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_semantic_vad_has_its_own_keys_and_always_says_whether_it_interrupts() -> None:
    assert SEMANTIC.to_wire() == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }


def test_null_means_that_the_client_ends_turns() -> None:
    assert turn_detection.updated(SERVER, None, ENDPOINTING) is None


@pytest.mark.parametrize("patch", [{}, {"type": "server_vad"}, {"type": None}])
def test_after_manual_turns_any_object_brings_detection_back(
    patch: dict[str, Any],
) -> None:
    assert updated(None, patch) == SERVER


def test_the_same_type_changes_only_what_is_given() -> None:
    first = updated(SERVER, {"type": "server_vad", "threshold": 0.9})
    second = updated(first, {"silence_duration_ms": 700, "create_response": False})
    assert (second.threshold, second.silence_duration_ms) == (0.9, 700)
    assert (second.create_response, second.interrupt_response) == (False, True)


def test_another_type_replaces_the_whole_object() -> None:
    changed = updated(SERVER, {"threshold": 0.9, "interrupt_response": False})
    assert updated(changed, {"type": "semantic_vad"}) == SEMANTIC
    eager = updated(SEMANTIC, {"eagerness": "high"})
    assert updated(eager, {"type": "server_vad"}) == SERVER


def test_null_brings_the_default_of_one_key_back() -> None:
    changed = updated(
        SERVER,
        {
            "threshold": 0.9,
            "prefix_padding_ms": 1,
            "silence_duration_ms": 700,
            "create_response": False,
            "interrupt_response": False,
        },
    )
    keys = SERVER.to_wire().keys() - {"type"}
    assert updated(changed, dict.fromkeys(keys)) == SERVER
    eager = updated(SEMANTIC, {"eagerness": "low"})
    assert updated(eager, {"eagerness": None}) == SEMANTIC


def test_server_vad_waits_exactly_as_long_as_it_says() -> None:
    exact = updated(SERVER, {"silence_duration_ms": 700, "threshold": 0.6})
    settings = exact.applied_to(ENDPOINTING)
    assert (settings.silence_duration_ms, settings.threshold) == (700, 0.6)
    assert not settings.adapts
    assert settings.veto_ms == 0


@pytest.mark.parametrize(
    ("eagerness", "silence_ms", "longest_ms", "veto_ms"),
    [("high", 300, 600, 2000), ("auto", 500, 1000, 4000), ("low", 1000, 2000, 8000)],
)
def test_semantic_vad_adapts_within_what_its_eagerness_allows(
    eagerness: str, silence_ms: int, longest_ms: int, veto_ms: int
) -> None:
    settings = updated(SEMANTIC, {"eagerness": eagerness}).applied_to(ENDPOINTING)
    assert settings.silence_duration_ms == silence_ms
    assert settings.longest_silence_ms == longest_ms
    assert settings.veto_ms == veto_ms


def test_an_idle_timeout_is_of_server_vad_alone_and_null_takes_it_away() -> None:
    patient = updated(SERVER, {"idle_timeout_ms": 6000})
    assert patient.to_wire()["idle_timeout_ms"] == 6000
    assert updated(patient, {"idle_timeout_ms": None}).idle_timeout_ms is None
    assert updated(SEMANTIC, {"idle_timeout_ms": 6000}) == SEMANTIC
    assert updated(patient, {"type": "semantic_vad"}).idle_timeout_ms is None


@pytest.mark.parametrize("eagerness", SILENCE_MS_BY_EAGERNESS)
def test_eagerness_is_a_silence(eagerness: turn_detection.Eagerness) -> None:
    found = updated(SERVER, {"type": "semantic_vad", "eagerness": eagerness})
    assert found.silence_duration_ms == SILENCE_MS_BY_EAGERNESS[eagerness]
    assert found.to_wire()["eagerness"] == eagerness


def test_more_eager_is_never_more_patient() -> None:
    silences = [SILENCE_MS_BY_EAGERNESS[name] for name in ("high", "medium", "low")]
    assert silences == sorted(silences)
    assert SILENCE_MS_BY_EAGERNESS["auto"] == SILENCE_MS_BY_EAGERNESS["medium"]


def test_eagerness_does_not_change_the_silence_of_server_vad() -> None:
    assert updated(SERVER, {"eagerness": "low"}).silence_duration_ms == 450


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("threshold", (0, 1), (-0.01, 1.01)),
        ("prefix_padding_ms", (0, 5000), (-1, 5001)),
        ("silence_duration_ms", (32, 10_000), (31, 10_001)),
        ("idle_timeout_ms", (5000, 30_000), (4999, 30_001)),
    ],
)
def test_values_have_closed_ranges(
    name: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    for value in inside:
        assert updated(SERVER, {name: value}).to_wire()[name] == value
    for value in outside:
        with pytest.raises(EventRefused) as caught:
            updated(SERVER, {name: value})
        assert caught.value.param == f"session.audio.input.turn_detection.{name}"
