import dataclasses

import pytest

from assistant.config import Config, ServerConfig
from assistant.errors import MediaError
from assistant.turns.actions import ResetVad, SetDistance, SetInputFormat
from assistant.turns.settings import InputFormat
from assistant.wire import client_events as client, items, link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import (
    ANSWER,
    CLOSING,
    VAD_TURN,
    Bench,
    prompt_of,
    text_item,
)


def test_a_spoken_turn_has_the_documented_order_of_events() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("Hel", "lo")
    bench.finish()
    assert bench.types() == VAD_TURN + ANSWER + CLOSING
    assert bench.done().status == "completed"
    assert bench.done().output[0].content == [items.OutputText("Hello")]  # type: ignore[union-attr]  # a message


def test_one_item_id_runs_through_a_spoken_turn_and_the_chain_is_whole() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("Hi")
    bench.finish()
    started = bench.events(wire.SpeechStarted)[0]
    committed = bench.events(wire.Committed)[0]
    user, assistant = bench.events(wire.ItemAdded)
    assert started.item_id == committed.item_id == user.item.id
    assert (committed.previous_item_id, user.previous_item_id) == (None, None)
    assert assistant.previous_item_id == user.item.id


def test_the_clip_has_padding_before_and_a_little_silence_after() -> None:
    bench = Bench()
    bench.hear(0.02, 1.024)
    bench.speak(1.024)
    (start, stop) = (1.024 - 0.3, 2.048 + 0.2)
    clip = f"[audio {round(start * 16000)}:{round(stop * 16000)}]"
    assert prompt_of(bench) == f"<user> {clip} <end> <assistant>"


def test_sound_alone_is_speech_mode_and_a_frame_makes_it_vision() -> None:
    heard, seen = Bench(), Bench()
    seen.client(client.InputImageAppend(image=b"jpeg"))
    for bench in (heard, seen):
        bench.speak()
    assert heard.orders(link.Open) == [link.Open(1, "speech")]
    assert seen.orders(link.Open) == [link.Open(1, "vision")]
    assert "<user> [frame 1 x1] [audio" in prompt_of(seen)


def test_every_offered_frame_is_listed_with_its_reason_and_its_times() -> None:
    bench = Bench()
    bench.client(client.InputImageAppend(image=b"old", timestamp_ms=5_000.0))
    bench.hear(0.02, 4.0)
    bench.client(client.InputImageAppend(image=b"new", timestamp_ms=9_000.0))
    bench.speak()
    bench.finish()
    vendor = bench.done().assistant
    assert isinstance(vendor, dict)
    frames = [
        (f["id"], f["used"], f["reason"], f["timestamp_ms"]) for f in vendor["frames"]
    ]
    assert frames == [(1, False, "stale", 5_000.0), (2, True, "used", 9_000.0)]
    assert vendor["frames"][1]["captured_ms"] == pytest.approx(4_000.0, abs=1)


def test_the_timeline_says_when_each_step_happened() -> None:
    bench = Bench()
    bench.hear(0.02, 0.512)
    bench.speak(1.024)
    bench.now += 0.010
    bench.report(link.Admitted(*bench.newest()))
    bench.now += 0.020
    bench.answer("Hi")
    bench.now += 0.030
    bench.finish()
    vendor = bench.done().assistant
    assert isinstance(vendor, dict)
    timeline = vendor["timeline"]
    assert timeline["speech_end_ms"] == pytest.approx(1536, abs=1)
    assert timeline["hard_end_ms"] - timeline["speech_end_ms"] == pytest.approx(512, abs=1)
    assert timeline["soft_end_ms"] < timeline["hard_end_ms"] == timeline["committed_ms"]
    assert timeline["admitted_ms"] - timeline["hard_end_ms"] >= 10
    assert timeline["first_token_ms"] - timeline["admitted_ms"] == pytest.approx(
        20, abs=0.2
    )
    assert timeline["done_ms"] - timeline["first_token_ms"] == pytest.approx(30, abs=0.2)


def test_barge_in_announces_speech_first_and_then_closes_every_scope() -> None:
    bench = Bench()
    bench.speak()
    bench.answer("Well", " then")
    bench.forget()
    bench.hear(0.95, 0.15)
    assert bench.types() == ["input_audio_buffer.speech_started", *CLOSING]
    response = bench.done()
    assert response.status == "cancelled"
    assert response.status_details == {"type": "cancelled", "reason": "turn_detected"}
    assert bench.orders(link.Cancel) == [link.Cancel(1, 1, 2)]


@pytest.mark.parametrize("num_tokens", [0, 1, 2, 5])
def test_nothing_of_a_cancelled_response_follows_its_done(num_tokens: int) -> None:
    bench = Bench()
    bench.speak()
    sequence, generation = bench.newest()
    bench.answer(*["word"] * num_tokens)
    bench.client(client.ResponseCancel())
    bench.forget()
    bench.report(link.Admitted(sequence, generation))
    bench.report(link.Token(sequence, generation, [7], "late"))
    bench.report(
        link.Finished(
            sequence=sequence,
            generation=generation,
            reason="cancelled",
            text="late",
            num_prompt=1,
            num_cached=0,
            num_output=1,
        )
    )
    assert bench.actions == []


def test_manual_turns_neither_detect_speech_nor_answer_by_themselves() -> None:
    bench = Bench()
    bench.update(type="realtime", audio={"input": {"turn_detection": None}})
    bench.forget()
    bench.hear(0.95, 1.024)
    assert bench.types() == []
    bench.client(client.InputAudioCommit())
    assert bench.types() == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    bench.client(client.ResponseCreate())
    assert prompt_of(bench) == "<user> [audio 0:16384] <end> <assistant>"


def test_a_commit_of_less_than_100_ms_is_refused_and_changes_nothing() -> None:
    bench = Bench()
    bench.update(type="realtime", audio={"input": {"turn_detection": None}})
    bench.hear(0.9, 0.064)
    bench.forget()
    with pytest.raises(EventRefused, match=r"only has 64\.00ms") as refused:
        bench.client(client.InputAudioCommit())
    assert refused.value.code == "input_audio_buffer_commit_empty"
    bench.hear(0.9, 0.064)
    bench.client(client.InputAudioCommit())
    assert "[audio 0:2048]" not in bench.types()
    assert bench.types()[0] == "input_audio_buffer.committed"


def test_a_client_may_commit_while_the_user_still_speaks() -> None:
    bench = Bench()
    bench.hear(0.95, 1.024)
    started = bench.events(wire.SpeechStarted)[0]
    bench.client(client.InputAudioCommit())
    assert bench.events(wire.Committed)[0].item_id == started.item_id
    bench.forget()
    bench.hear(0.02, 1.0)
    assert bench.types() == []


def test_clear_drops_the_open_utterance_and_the_sound() -> None:
    bench = Bench()
    bench.hear(0.95, 0.5)
    bench.forget()
    bench.client(client.InputAudioClear())
    bench.hear(0.02, 1.0)
    assert bench.types() == ["input_audio_buffer.cleared"]
    with pytest.raises(EventRefused):
        Bench().client(client.InputAudioCommit())


def test_a_manual_buffer_has_a_bound_and_a_detected_one_drops_its_oldest() -> None:
    bench = Bench()
    limit = int(Config().limits.audio_buffer_s * 16_000)
    bench.session.receive_audio(limit, 1.0)
    bench.session.check_audio_room(1)
    bench.update(type="realtime", audio={"input": {"turn_detection": None}})
    with pytest.raises(EventRefused, match="120 s"):
        bench.session.check_audio_room(1)


def test_a_typed_question_is_answered_and_paired_with_the_picture_of_now() -> None:
    bench = Bench()
    bench.now = 5.0
    bench.client(client.InputImageAppend(image=b"jpeg"))
    bench.client(text_item("what is this?"))
    bench.client(client.ResponseCreate())
    assert prompt_of(bench) == "<user> [frame 1 x1] what is this? <end> <assistant>"


def test_a_picture_in_an_item_is_worth_more_crops_when_words_ask_about_it() -> None:
    url = "data:image/png;base64,aGk="
    bench = Bench()
    picture = items.InputImage(image_url=url)
    for content in ([picture], [items.InputText("?"), picture]):
        message = items.MessageItem(role="user", content=[*content])
        bench.client(client.ItemCreate(item=message))
    bench.client(client.ResponseCreate())
    assert prompt_of(bench) == "<user> [hi x1] [hi x4] ? <end> <assistant>"


def test_a_second_response_is_refused_while_one_is_active() -> None:
    bench = Bench()
    bench.speak()
    with pytest.raises(EventRefused, match="resp_1") as refused:
        bench.client(client.ResponseCreate())
    assert refused.value.code == "conversation_already_has_active_response"


@pytest.mark.parametrize("response_id", ["resp_9", None])
def test_a_cancel_of_nothing_is_refused(response_id: str | None) -> None:
    bench = Bench()
    if response_id is not None:
        bench.speak()
    with pytest.raises(EventRefused, match=r"^Cancellation failed: no active response"):
        bench.client(client.ResponseCancel(response_id=response_id))


def test_without_interruption_the_next_answer_waits_for_the_present_one() -> None:
    bench = Bench()
    detection = {"type": "server_vad", "interrupt_response": False}
    bench.update(type="realtime", audio={"input": {"turn_detection": detection}})
    bench.speak()
    bench.answer("One")
    bench.forget()
    bench.speak()
    assert "response.created" not in bench.types()
    assert "response.done" not in bench.types()
    bench.session.receive_report(
        link.Finished(
            sequence=1,
            generation=1,
            reason="stop",
            text="",
            num_prompt=1,
            num_cached=0,
            num_output=1,
        ),
        bench.now,
    )
    bench.take()
    assert bench.types()[-6:] == [*CLOSING, "response.created"]


def test_create_response_false_commits_and_stays_silent() -> None:
    bench = Bench()
    detection = {"type": "server_vad", "create_response": False}
    bench.update(type="realtime", audio={"input": {"turn_detection": detection}})
    bench.forget()
    bench.speak()
    assert bench.types() == VAD_TURN[:-1]


def test_metadata_is_echoed_at_both_ends_of_a_response() -> None:
    bench = Bench()
    bench.client(text_item("hi"))
    params = client.ResponseParams(metadata={"client_event_id": "7"})
    bench.client(client.ResponseCreate(response=params))
    bench.finish()
    created = bench.events(wire.ResponseCreated)[0].response
    assert created.metadata == bench.done().metadata == {"client_event_id": "7"}


def test_a_changed_input_format_is_carried_out_and_echoed() -> None:
    bench = Bench()
    bench.forget()
    bench.update(type="realtime", audio={"input": {"format": {"type": "audio/pcmu"}}})
    assert bench.actions[0] == SetInputFormat(InputFormat("audio/pcmu", 8000))
    echoed = bench.events(wire.SessionUpdated)[0].session["audio"]["input"]["format"]
    assert echoed == {"type": "audio/pcmu"}


def test_where_the_microphone_stands_is_told_to_the_detector() -> None:
    bench = Bench()
    for noise_reduction in ({"type": "near_field"}, {"type": "near_field"}, None):
        bench.update(audio={"input": {"noise_reduction": noise_reduction}})
    told = [action for action in bench.actions if isinstance(action, SetDistance)]
    assert told == [SetDistance("near_field"), SetDistance(None)]


def test_an_update_without_turn_detection_does_not_reset_a_running_utterance() -> None:
    bench = Bench()
    bench.hear(0.95, 0.5)
    bench.forget()
    bench.update(type="realtime", instructions="Be brief.")
    assert ResetVad() not in bench.actions
    bench.hear(0.95, 0.3)
    bench.hear(0.02, 0.7)
    assert "input_audio_buffer.committed" in bench.types()


def test_a_broken_camera_frame_is_refused_and_the_others_stay() -> None:
    bench = Bench()
    bench.client(client.InputImageAppend(image=b"jpeg"))
    with pytest.raises(MediaError):
        bench.client(client.InputImageAppend(image=b"broken"))
    assert len(bench.media.metas) == 1


def test_clearing_the_image_buffer_answers_and_forgets_the_frames() -> None:
    bench = Bench()
    bench.client(client.InputImageAppend(image=b"jpeg"))
    bench.client(client.InputImageClear())
    assert bench.types() == ["input_image_buffer.cleared"]
    assert bench.media.metas == []


def test_retrieve_and_delete_work_on_items_and_refuse_unknown_ones() -> None:
    bench = Bench()
    bench.client(text_item("hi", id="mine"))
    bench.forget()
    bench.client(client.ItemRetrieve(item_id="mine"))
    bench.client(client.ItemDelete(item_id="mine"))
    assert bench.types() == ["conversation.item.retrieved", "conversation.item.deleted"]
    for event in (
        client.ItemRetrieve(item_id="mine"),
        client.ItemDelete(item_id="mine"),
        client.ItemTruncate(item_id="mine"),
    ):
        with pytest.raises(EventRefused, match="'mine' not found"):
            bench.client(event)


def test_a_session_ends_at_its_bound_with_the_documented_error() -> None:
    bench = Bench(Config(server=dataclasses.replace(ServerConfig(), session_max_s=60.0)))
    assert bench.session.deadline() == 60.0
    bench.timer(60.0)
    (error,) = bench.events(wire.Error)
    assert (error.error.code, bench.hangs()[0].code) == ("session_expired", 1000)
