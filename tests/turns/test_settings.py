from dataclasses import replace
from typing import Any

import msgspec
import pytest

from assistant.config import Config, PairingConfig, ReplyConfig, TranscriptsConfig
from assistant.turns import settings as session_settings
from assistant.turns.settings import Settings
from assistant.wire import client_events as client
from assistant.wire.refusals import EventRefused

CONFIG = Config(
    reply=ReplyConfig(instructions="Be brief."), pairing=PairingConfig(frames_per_turn=2)
)
START = session_settings.initial(CONFIG, "demo", hangover_ms=96)


def update(settings: Settings = START, /, **session: Any) -> Settings:
    """Apply a ``session.update`` as a client would send it."""
    text = msgspec.json.encode({"type": "session.update", "session": session})
    event = client.decode(text)
    assert isinstance(event, client.SessionUpdate)
    return session_settings.updated(settings, event.session)


def hearing(settings: Settings = START, /, **audio_input: Any) -> Settings:
    return update(settings, audio={"input": audio_input})


def speaking(settings: Settings = START, /, **audio_output: Any) -> Settings:
    return update(settings, audio={"output": audio_output})


def echo(settings: Settings) -> dict[str, Any]:
    return settings.to_wire("sess_1", 1_795_219_801)


def refused_param(**session: Any) -> str | None:
    with pytest.raises(EventRefused) as caught:
        update(**session)
    assert caught.value.code == "invalid_value"
    return caught.value.param


# --- the echo ----------------------------------------------------------------------------


def test_a_session_starts_with_what_the_service_is_configured_to() -> None:
    session = echo(START)
    assert session["model"] == "demo"
    assert session["instructions"] == "Be brief."
    assert session["assistant"]["video"]["frames_per_turn"] == 2
    assert session["output_modalities"] == ["text"]
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert session["audio"]["input"]["transcription"] is None
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert (session["id"], session["expires_at"]) == ("sess_1", 1_795_219_801)


@pytest.mark.parametrize("modalities", [["audio"], ["text"], ["text", "audio"], None])
def test_whatever_is_asked_for_the_answer_is_text(modalities: list[str] | None) -> None:
    assert echo(update(output_modalities=modalities))["output_modalities"] == ["text"]
    assert echo(update(modalities=modalities))["output_modalities"] == ["text"]


def test_what_is_not_offered_is_not_promised() -> None:
    config = Config(transcripts=TranscriptsConfig(enabled=False))
    without = session_settings.initial(config, "demo", hangover_ms=96)
    wanted = hearing(without, transcription={"model": "whisper-1"})
    assert echo(wanted)["audio"]["input"]["transcription"] is None
    for_nothing = update(without, type="transcription")
    assert echo(for_nothing)["audio"]["input"]["transcription"] is None


# --- the type of a session ---------------------------------------------------------------


def test_a_session_for_transcripts_shows_its_input_and_nothing_of_answers() -> None:
    session = echo(hearing(update(type="transcription"), transcription={"language": "de"}))
    assert session == {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": "sess_1",
        "expires_at": 1_795_219_801,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "demo", "language": "de"},
                "noise_reduction": None,
                "turn_detection": echo(START)["audio"]["input"]["turn_detection"],
            }
        },
    }


def test_a_session_for_transcripts_gives_no_responses_by_itself_or_when_asked() -> None:
    session = update(type="transcription")
    assert (START.answers_turns, START.reads_ahead) == (True, True)
    assert (session.answers_turns, session.reads_ahead) == (False, False)
    with pytest.raises(EventRefused) as refused:
        session_settings.for_response(session, client.ResponseParams())
    assert refused.value.code == "transcription_session"


def test_a_session_for_transcripts_has_none_when_its_client_says_so() -> None:
    silent = update(type="transcription", audio={"input": {"transcription": None}})
    assert silent.transcription is None
    assert update(silent, type="transcription").transcription is None


def test_the_type_can_be_chosen_once() -> None:
    chosen = update(update(instructions="Hi."), type="realtime")
    assert update(chosen, type="realtime") == chosen
    for settings, other in ((chosen, "transcription"), (START, "live")):
        with pytest.raises(EventRefused) as refused:
            update(settings, type=other)
        assert refused.value.param == "session.type"


def test_the_beta_name_of_transcripts_is_read() -> None:
    old = update(input_audio_transcription={"model": "whisper-1"})
    assert old == hearing(transcription={"model": "whisper-1"})
    assert update(old, input_audio_transcription=None) == START


def test_the_model_does_not_change_in_a_session() -> None:
    assert update(model="another") == START


# --- absent, null and values --------------------------------------------------------------

CHANGED: dict[str, Any] = {
    "instructions": "Be long.",
    "max_output_tokens": 99,
    "truncation": "disabled",
    "tracing": "auto",
    "parallel_tool_calls": False,
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"voice": "ash", "speed": 1.25},
    },
}


def test_an_empty_update_changes_nothing() -> None:
    changed = update(**CHANGED)
    assert update(changed) == changed
    assert update(changed, audio={}) == changed
    assert update(changed, audio={"input": {}, "output": {}}) == changed
    assert update(changed, audio=None) == changed
    assert update(changed, assistant={}) == changed


def test_every_value_is_echoed_as_it_was_set() -> None:
    session = echo(update(**CHANGED))
    for name in CHANGED.keys() - {"audio"}:
        assert session[name] == CHANGED[name]
    sound = session["audio"]
    assert sound["input"]["format"] == {"type": "audio/pcmu"}
    assert sound["input"]["noise_reduction"] == {"type": "near_field"}
    assert (sound["output"]["voice"], sound["output"]["speed"]) == ("ash", 1.25)


def test_null_brings_the_defaults_back_and_empties_the_instructions() -> None:
    nulls = {name: None for name in CHANGED if name != "audio"}
    sound = {half: dict.fromkeys(keys) for half, keys in CHANGED["audio"].items()}
    cleared = update(update(**CHANGED), **nulls, audio=sound)
    assert cleared == replace(START, instructions="")


def test_one_wrong_value_refuses_the_whole_update_at_its_path() -> None:
    for session, param in (
        ({"type": "live"}, "session.type"),
        ({"max_output_tokens": 0}, "session.max_output_tokens"),
        ({"max_output_tokens": 4097}, "session.max_output_tokens"),
        ({"max_response_output_tokens": -1}, "session.max_output_tokens"),
        ({"audio": {"output": {"speed": 0.2}}}, "session.audio.output.speed"),
        ({"audio": {"output": {"speed": 1.6}}}, "session.audio.output.speed"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 1.1}},
            "session.truncation.retention_ratio",
        ),
        (
            {"assistant": {"video": {"frames_per_turn": 17}}},
            "session.assistant.video.frames_per_turn",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 44_100}}}},
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcma", "rate": 24_000}}}},
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"threshold": 1.1}}}},
            "session.audio.input.turn_detection.threshold",
        ),
    ):
        assert refused_param(**{"instructions": "Be long.", **session}) == param


def test_the_type_may_be_left_out_and_naming_it_changes_nothing_else() -> None:
    assert update(type=None) == START
    assert update(type="realtime") == replace(START, is_typed=True)


@pytest.mark.parametrize("limit", [1, 4096, "inf"])
def test_token_limits_include_both_ends(limit: int | str) -> None:
    assert update(max_output_tokens=limit).max_output_tokens == limit


def test_retention_ratio_is_kept_as_given() -> None:
    ratio = {
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": 500},
    }
    assert echo(update(truncation=ratio))["truncation"] == ratio
    del ratio["token_limits"]
    assert echo(update(truncation=ratio))["truncation"] == ratio


def test_tracing_may_be_an_object() -> None:
    assert echo(update(tracing={"group_id": "g"}))["tracing"] == {"group_id": "g"}


def test_a_voice_is_echoed_as_a_string() -> None:
    assert echo(speaking(voice={"id": "v"}))["audio"]["output"]["voice"] == "v"


def test_speed_may_be_a_whole_number() -> None:
    assert speaking(speed=1).speed == 1.0


# --- beta names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "current"),
    [
        ({"voice": "ash"}, {"audio": {"output": {"voice": "ash"}}}),
        ({"voice": None}, {"audio": {"output": {"voice": None}}}),
        (
            {"input_audio_format": "g711_ulaw"},
            {"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
        ),
        (
            {"input_audio_format": "g711_alaw"},
            {"audio": {"input": {"format": {"type": "audio/pcma"}}}},
        ),
        (
            {"input_audio_format": "pcm16"},
            {"audio": {"input": {"format": {"type": "audio/pcm"}}}},
        ),
        ({"input_audio_format": None}, {"audio": {"input": {"format": None}}}),
        ({"turn_detection": None}, {"audio": {"input": {"turn_detection": None}}}),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 0.7}},
            {"audio": {"input": {"turn_detection": {"threshold": 0.7}}}},
        ),
        ({"max_response_output_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_response_output_tokens": "inf"}, {"max_output_tokens": None}),
    ],
)
def test_a_beta_name_means_the_same_as_the_current_one(
    beta: dict[str, Any], current: dict[str, Any]
) -> None:
    changed = update(**CHANGED)
    assert update(changed, **beta) == update(changed, **current)


def test_the_current_name_wins_over_the_beta_one() -> None:
    assert update(voice="ash", audio={"output": {"voice": "sage"}}).voice == "sage"
    both = update(max_response_output_tokens=5, max_output_tokens=6)
    assert both.max_output_tokens == 6


# --- endpointing -------------------------------------------------------------------------


def test_turn_detection_overrides_three_values_of_the_endpointing() -> None:
    wanted = hearing(
        turn_detection={
            "threshold": 0.7,
            "prefix_padding_ms": 100,
            "silence_duration_ms": 900,
        }
    )
    assert wanted.effective_endpointing == replace(
        START.endpointing, threshold=0.7, prefix_padding_ms=100, silence_duration_ms=900
    )


def test_without_turn_detection_the_endpointing_is_the_services() -> None:
    changed = hearing(turn_detection={"threshold": 0.7})
    assert hearing(changed, turn_detection=None).effective_endpointing == START.endpointing


LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def test_tools_are_kept_and_echoed_and_a_response_may_have_its_own() -> None:
    held = update(tools=[LOOK], tool_choice="required", parallel_tool_calls=False)
    echoed = held.to_wire("s", 0)
    assert (echoed["tools"], echoed["tool_choice"]) == ([LOOK], "required")
    params = client.ResponseParams(tools=[], tool_choice=None)
    own = session_settings.for_response(held, params)
    assert (own.tools.functions, own.tools.choice) == ((), "required")
    assert not own.tools.is_parallel
    assert own.tools.constraint() is None


def test_wrong_tools_are_refused_by_their_path_and_change_nothing() -> None:
    with pytest.raises(EventRefused) as refused:
        update(tools=[{"type": "function"}], instructions="new")
    assert refused.value.param == "session.tools[0].name"
    params = client.ResponseParams(tool_choice="always")
    with pytest.raises(EventRefused) as refused:
        session_settings.for_response(START, params)
    assert refused.value.param == "response.tool_choice"


def test_instructions_have_a_bound_in_a_session_and_in_a_response() -> None:
    text = "x" * 100_001
    with pytest.raises(EventRefused, match="100001 characters") as refused:
        update(instructions=text)
    assert refused.value.param == "session.instructions"
    params = client.ResponseParams(instructions=text)
    with pytest.raises(EventRefused) as refused:
        session_settings.for_response(START, params)
    assert refused.value.param == "response.instructions"


def test_the_beta_name_of_a_token_limit_is_read_in_a_response() -> None:
    params = client.ResponseParams(max_response_output_tokens=7)
    assert session_settings.for_response(START, params).max_output_tokens == 7
