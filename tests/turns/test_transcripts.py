from typing import Any

import pytest

from assistant.config import Config, TranscriptsConfig
from assistant.turns.conversation import Audio
from assistant.wire import client_events as client, items, link, server_events as wire
from tests.turns.harness import ANSWER, CLOSING, READY, VAD_TURN, Bench, shown

WORDS = "Transcribe the audio clip into text."
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"


def bench_with(transcription: dict[str, Any] | None = None, **keys: Any) -> Bench:
    config = Config(transcripts=TranscriptsConfig(**keys))
    bench = Bench(config)
    bench.update(audio={"input": {"transcription": transcription or {"model": "phi"}}})
    bench.forget()
    return bench


def answered(bench: Bench) -> None:
    """Say something and have it answered."""
    bench.speak()
    bench.answer("Hel", "lo")
    bench.finish()


def background(bench: Bench) -> list[int]:
    return [order.sequence for order in bench.orders(link.Open) if order.is_background]


def transcript(bench: Bench) -> list[wire.TranscriptCompleted]:
    return bench.events(wire.TranscriptCompleted)


def test_nothing_is_written_down_unless_the_session_asks() -> None:
    bench = Bench()
    answered(bench)
    assert background(bench) == []
    assert bench.types() == VAD_TURN + ANSWER + CLOSING


def test_the_transcript_of_a_turn_comes_behind_its_answer_with_deltas_and_usage() -> None:
    bench = bench_with()
    answered(bench)
    bench.answer("turn ", "it on")
    sequence = background(bench)[0]
    bench.report(
        link.Appended(sequence=sequence, num_tokens=9, num_text=7, num_image=0, num_audio=2)
    )
    bench.finish(num_output=2)
    assert bench.types() == VAD_TURN + ANSWER + CLOSING + [DELTA, DELTA, COMPLETED]
    (completed,) = transcript(bench)
    item = bench.events(wire.Committed)[0].item_id
    deltas = bench.events(wire.TranscriptDelta)
    assert [delta.delta for delta in deltas] == ["turn ", "it on"]
    assert {delta.item_id for delta in deltas} | {completed.item_id} == {item}
    assert completed.transcript == "turn it on"
    assert completed.usage.total_tokens == 10 + 2
    details = completed.usage.input_token_details
    assert (details.text_tokens, details.audio_tokens) == (8, 2)


def test_a_sequence_of_its_own_reads_the_clip_and_the_documented_prompt() -> None:
    bench = bench_with()
    bench.client(client.InputImageAppend(image=b"jpeg"))
    answered(bench)
    conversation, own = bench.orders(link.Open)
    assert (conversation.adapter, conversation.is_background) == ("vision", False)
    assert (own.adapter, own.is_background) == ("speech", True)
    read = [o.parts for o in bench.orders(link.Append) if o.sequence == own.sequence]
    clip = next(
        part
        for order in bench.orders(link.Append)
        for part in order.parts
        if isinstance(part, link.AudioPart)
    )
    sound = f"[audio {clip.samples.decode()}]"
    assert shown([part for parts in read for part in parts]) == (
        f"<user> {sound} {WORDS} <end> <assistant>"
    )
    bench.finish()
    assert bench.orders(link.Close) == [link.Close(own.sequence)]
    assert not bench.orders(link.Rollback), "the conversation's sequence was touched"


def test_nothing_is_begun_while_the_conversation_is_being_answered() -> None:
    bench = bench_with()
    bench.speak()
    bench.answer("Well")
    assert background(bench) == []
    bench.finish()
    assert len(background(bench)) == 1


def test_one_at_a_time_and_the_next_when_it_is_over_or_the_answer_is() -> None:
    bench = bench_with()
    bench.update(
        audio={
            "input": {"turn_detection": {"type": "server_vad", "create_response": False}}
        }
    )
    for _ in range(3):
        bench.speak()
    assert len(background(bench)) == 1
    bench.finish()
    bench.client(client.ResponseCreate())
    bench.answer("Well")
    answering = bench.newest()
    generates = bench.orders(link.Generate)
    quiet = generates[-2].sequence, generates[-2].generation
    bench.report(link.Token(*quiet, [1], "words"))
    assert bench.types()[-1] == DELTA
    assert len(background(bench)) == 2
    bench.report(
        link.Finished(
            sequence=quiet[0], generation=quiet[1], reason="stop", text="",
            num_prompt=5, num_cached=0, num_output=1,
        )
    )  # fmt: skip
    assert len(background(bench)) == 2, "begun beside an answer"
    assert bench.newest() == answering
    bench.finish()
    assert len(background(bench)) == 3


def test_after_it_is_complete_the_item_has_its_transcript() -> None:
    bench = bench_with()
    answered(bench)
    item_id = bench.events(wire.Committed)[0].item_id
    bench.answer("hello")
    bench.finish()
    bench.forget()
    bench.client(client.ItemRetrieve(item_id=item_id))
    (retrieved,) = bench.events(wire.ItemRetrieved)
    assert isinstance(retrieved.item, items.MessageItem)
    assert retrieved.item.content == [items.InputAudio(transcript="hello")]


def test_the_next_prompt_is_the_same_with_a_transcript_and_without() -> None:
    prompts = []
    for bench in (bench_with(), Bench()):
        answered(bench)
        if background(bench):
            bench.answer("hello")
            bench.finish()
        bench.forget()
        bench.speak()
        own = background(bench)
        appends = [o for o in bench.orders(link.Append) if o.sequence not in own]
        prompts.append(shown([part for order in appends for part in order.parts]))
    assert prompts[0] == prompts[1]


def test_what_fails_is_said_to_have_failed_and_by_nothing_else() -> None:
    bench = bench_with()
    answered(bench)
    bench.forget_events()
    bench.fail("part_unsupported", of_append=True)
    (failed,) = bench.events(wire.TranscriptFailed)
    assert (failed.error.type, failed.error.code) == ("server_error", "part_unsupported")
    assert bench.types() == [FAILED]
    bench.fail("sequence_failed")
    assert bench.types() == [FAILED]


def test_an_engine_without_time_for_it_makes_it_fail_by_its_deadline() -> None:
    bench = bench_with(timeout_s=5)
    bench.update(
        audio={
            "input": {"turn_detection": {"type": "server_vad", "create_response": False}}
        }
    )
    bench.forget()
    bench.speak()
    bench.speak()
    due = bench.session.deadline()
    assert due < bench.now + 5
    bench.timer(due)
    assert [event.error.code for event in bench.events(wire.TranscriptFailed)] == [
        "server_overloaded"
    ]
    assert bench.orders(link.Close), "its sequence stays"
    bench.timer(bench.session.deadline())
    assert len(bench.events(wire.TranscriptFailed)) == 2
    assert bench.session.deadline() > 1000


def test_more_than_may_wait_fail_at_once() -> None:
    bench = bench_with(max_waiting=1)
    bench.engine(None)
    for _ in range(2):
        bench.speak()
    (failed,) = bench.events(wire.TranscriptFailed)
    assert failed.error.code == "too_many_transcripts"
    assert failed.item_id == bench.events(wire.Committed)[1].item_id


def test_a_deleted_item_is_not_written_down_any_more() -> None:
    bench = bench_with()
    answered(bench)
    bench.answer("tu")
    late = bench.newest()
    item_id = bench.events(wire.Committed)[0].item_id
    bench.client(client.ItemDelete(item_id=item_id))
    assert link.Close(background(bench)[0]) in bench.orders(link.Close)
    bench.forget()
    bench.report(link.Token(*late, [1], "rn"))
    assert bench.types() == []


def test_when_the_engine_dies_it_is_begun_again_unless_the_client_saw_some_of_it() -> None:
    for seen in (False, True):
        bench = bench_with()
        answered(bench)
        if seen:
            bench.answer("tu")
        bench.forget()
        bench.engine(None)
        bench.engine(READY)
        assert bool(bench.events(wire.TranscriptFailed)) == seen
        assert len(background(bench)) == (0 if seen else 1)


def test_a_late_report_of_a_transcript_is_not_taken_for_one_of_the_answer() -> None:
    bench = bench_with()
    answered(bench)
    late = bench.newest()
    bench.client(client.ItemDelete(item_id=bench.events(wire.Committed)[0].item_id))
    bench.speak()
    bench.forget_events()
    sequence, generation = bench.newest()
    for number in range(1, generation + 1):
        bench.report(link.Token(late[0], number, [1], "late"))
    assert bench.types() == []
    assert sequence != late[0]


def test_a_session_that_ends_frees_the_sequence_of_its_transcript() -> None:
    bench = bench_with()
    answered(bench)
    bench.session.close()
    bench.take()
    assert link.Close(background(bench)[0]) in bench.orders(link.Close)


def test_a_transcript_may_have_one_token_for_each_of_its_sound() -> None:
    bench = bench_with()
    ten_seconds = bytes(4 * 160_000)
    bench.media.clip = lambda start, stop: ten_seconds  # type: ignore[method-assign]  # a clip with a length
    answered(bench)
    assert bench.orders(link.Generate)[-1].sampling.max_tokens == 125 + 16


def test_where_transcripts_are_off_none_is_promised() -> None:
    bench = bench_with(enabled=False)
    answered(bench)
    assert bench.session.settings.transcription is None
    assert background(bench) == []


@pytest.mark.parametrize("type", ["realtime", "transcription"])
def test_only_a_session_for_transcripts_lets_go_of_the_sound_at_once(type: str) -> None:
    bench = bench_with()
    bench.update(type=type)
    bench.forget()
    bench.speak()
    (item,) = [i for i in bench.session._conversation.items if i.role == "user"]
    (part,) = item.content
    assert isinstance(part, Audio)
    assert bool(part.samples) == (type == "realtime")
    if type == "transcription":
        bench.answer("hello")
        bench.finish()
        assert bench.types() == [*VAD_TURN[:-1], DELTA, COMPLETED]
        clips = [
            part
            for order in bench.orders(link.Append)
            for part in order.parts
            if isinstance(part, link.AudioPart)
        ]
        assert len(clips) == 1
        assert clips[0].samples
