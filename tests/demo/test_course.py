from pathlib import Path

import pytest
import torch

from assistant.demo import clips, corpus, course, dialogues, train
from assistant.demo.course import Classroom
from assistant.demo.network import VOCAB_SIZE
from assistant.model.tokenizer_trainer import train_tokenizer


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    nothing = clips.collect(())
    sounds = corpus.Corpus(nothing, nothing, nothing, nothing, nothing, nothing)
    folder: Path = tmp_path_factory.mktemp("states")
    return course.classroom(folder, sounds, (), lambda line: None)


def test_who_goes_on_keeps_the_vocabulary_that_was_learned_with(room: Classroom) -> None:
    texts = [*dialogues.texts_for_tokenizer(), *1000 * ["a xylophone"]]
    other = train_tokenizer(VOCAB_SIZE, "native", texts)
    file = room.folder / "tokenizer.json"
    before = file.read_text()
    try:
        other.save(str(file))
        again = course.classroom(room.folder, room.material.corpus, (), room.say)
        assert again.tokenizer.to_str() == other.to_str() != room.tokenizer.to_str()
    finally:
        file.write_text(before)


@pytest.mark.parity
def test_a_lesson_leaves_its_state(room: Classroom) -> None:
    net = course.learn(room, "talk", steps=1)
    state = torch.load(room.folder / "talk.pt", weights_only=True)
    assert state["step"] == 1
    before, _ = train.new_network()
    name = "decoder.layers.0.self_attn.qkv_proj.weight"
    assert torch.equal(state["network"][name], net.state_dict()[name])
    assert not torch.equal(state["network"][name], before.state_dict()[name])


def test_words_keep_their_embedding(room: Classroom) -> None:
    net = course.learn(room, "talk", steps=1)
    before, _ = train.new_network()
    assert torch.equal(net.decoder.embed_tokens.weight, before.decoder.embed_tokens.weight)


def test_every_lesson_has_a_plan() -> None:
    assert set(course.PLANS) == set(course.LESSONS)
