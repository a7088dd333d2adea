from pathlib import Path

import pytest
import torch

from assistant.demo import clips, corpus, course, train
from assistant.demo.course import Classroom


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    nothing = clips.collect(())
    sounds = corpus.Corpus(nothing, nothing, nothing, nothing, nothing, nothing)
    folder: Path = tmp_path_factory.mktemp("states")
    return course.classroom(folder, sounds, (), lambda line: None)


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
