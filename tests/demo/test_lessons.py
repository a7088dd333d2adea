import numpy as np
import pytest
import tokenizers
import torch

from assistant.demo import clips, corpus, lessons, train
from assistant.demo.ideal import Ideal
from assistant.demo.lessons import Materials
from assistant.demo.world import WORDS


@pytest.fixture(scope="module")
def material() -> Materials:
    rng = np.random.default_rng(0)
    said = clips.collect(
        (text, speaker, rng.uniform(0, 15, (40, 80)))
        for text in ("yes", "seven", "what colour is this")
        for speaker in ("set:anna", "flite-slt")
    )
    noise = clips.collect([("", "rain", rng.uniform(0, 9, (90, 80)))])
    nothing = clips.collect(())
    sounds = corpus.Corpus(said, noise, noise, nothing, nothing, nothing)
    return lessons.materials(sounds, ())


@pytest.fixture(scope="module")
def ideal(tokenizer: tokenizers.Tokenizer) -> Ideal:
    net, _ = train.new_network()
    return Ideal.of(net.decoder.embed_tokens.weight.detach(), tokenizer)


def test_ears_learn_from_what_is_said(material: Materials, ideal: Ideal) -> None:
    net, heads = train.new_network()
    rng = np.random.default_rng(0)
    loss, scores = lessons.ears_loss(net, heads, ideal, material, rng, 8, 1.0)
    torch.autograd.backward(loss)
    assert net.audio_encoder.encoder.embed.out.weight.grad is not None
    assert scores.keys() == {"exact", "told", "bag"}


def test_repeated_words_are_spelled_once_unless_something_is_between() -> None:
    _, heads = train.new_network()
    words = torch.tensor([[0, 5, 5, 0, 5, 7, 0]])
    heads.word = torch.nn.Linear(heads.word.out_features, heads.word.out_features)
    torch.nn.init.eye_(heads.word.weight)
    torch.nn.init.zeros_(heads.word.bias)
    hidden = torch.nn.functional.one_hot(words, heads.word.out_features).float()
    names = WORDS
    assert lessons.recognise(heads, hidden) == [f"{names[4]} {names[4]} {names[6]}"]


def test_people_are_preferred_where_many_of_them_say_a_word(material: Materials) -> None:
    assert material.by_text["yes"].people
    assert material.by_text["yes"].voices
    rng = np.random.default_rng(0)
    assert lessons.take(material, "yes", rng).shape == (40, 80)
