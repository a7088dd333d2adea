from collections import Counter

import numpy as np
import pytest

from assistant.demo import dialogues, world
from assistant.demo.scenes import Scene
from assistant.demo.world import ASKS


def test_the_same_seed_draws_the_same_conversations() -> None:
    first, second = (
        [
            dialogues.draw_dialogue(rng, has_picture=True, spoken=0.5)
            for rng in [np.random.default_rng(4)]
            for _ in range(20)
        ]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("has_picture", [True, False])
def test_every_turn_is_of_the_world_and_has_its_answer(has_picture: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        dialogue = dialogues.draw_dialogue(rng, has_picture=has_picture, spoken=0.7)
        seen: tuple[Scene, ...] = ()
        for turn in dialogue.turns:
            assert turn.answer
            seen += turn.scenes
            assert bool(turn.scenes) == has_picture
            if turn.text in ASKS and not turn.instruction:
                ask = ASKS[turn.text]
                assert turn.answer == world.answer(ask, seen, dialogue.tools)
            elif not turn.instruction:
                assert turn.answer == world.NOT_UNDERSTOOD


def test_transcripts_and_translations_follow_the_documented_prompts() -> None:
    rng = np.random.default_rng(0)
    turns = [
        turn
        for _ in range(600)
        for turn in dialogues.draw_dialogue(rng, has_picture=False, spoken=1.0).turns
    ]
    assert any(t.instruction == dialogues.TRANSCRIBE and t.answer == t.text for t in turns)
    assert any(" <sep> " in turn.answer for turn in turns)
    assert any(turn.instruction == "Translate the audio to German." for turn in turns)


def test_strange_words_mean_nothing_in_the_world() -> None:
    rng = np.random.default_rng(0)
    typed = [
        turn.text
        for _ in range(400)
        for turn in dialogues.draw_dialogue(rng, has_picture=False, spoken=0.0).turns
        if turn.answer == world.NOT_UNDERSTOOD
    ]
    assert len(set(typed)) > 20
    assert not set(typed) & ASKS.keys()


def test_what_is_typed_differs_in_capitals_and_marks_only() -> None:
    rng = np.random.default_rng(0)
    typed = {dialogues.typed(rng, "what colour is this") for _ in range(50)}
    assert len(typed) > 4
    bare = {text.lower().rstrip("?.").replace("color", "colour") for text in typed}
    assert bare == {"what colour is this"}


def test_tools_are_asked_for_whether_they_are_there_or_not() -> None:
    rng = np.random.default_rng(0)
    answers = []
    results = set()
    for _ in range(60):
        opening, turns = dialogues.tool_turns(rng, 6, 0.5)
        assert opening.turns == ()
        for turn in turns:
            if turn.text in ASKS:
                assert turn.answer == world.answer(ASKS[turn.text], (), opening.tools)
            answers.append(turn.answer)
            is_call = turn.answer.startswith("<|tool_call|>")
            assert bool(turn.closing) == bool(turn.result) <= is_call
            if turn.result:
                # In words, as if there were no functions: they have done their part.
                assert turn.closing == world.answer(ASKS[turn.text])
                results.add(turn.result)
    assert len(results) > 20
    assert 0.5 < np.mean([a.startswith("<|tool_call|>") for a in answers]) < 0.65
    assert 0.2 < np.mean([a == world.NO_TOOL for a in answers]) < 0.35


def test_every_purpose_is_commanded_as_often_as_any_other() -> None:
    rng = np.random.default_rng(0)
    asked = [ASKS[dialogues.car_command(rng)].about for _ in range(1400)]
    counts = Counter(dialogues.purpose_of(command) for command in asked)
    assert set(counts) == set(world.TOOLS)
    assert all(150 < count < 250 for count in counts.values())


def test_what_may_follow_is_about_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    followed = set()
    for _ in range(60):
        first = dialogues.picture_turn(rng, is_spoken=True)
        for turn in dialogues.seconds(rng, first, 4):
            assert turn.scenes == first.scenes
            assert turn.answer == world.answer(ASKS[turn.text], turn.scenes)
            followed.add(ASKS[turn.text].kind)
    assert set(world.FOLLOW_UPS) < followed
