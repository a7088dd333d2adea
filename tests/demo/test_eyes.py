import numpy as np
import pytest
import tokenizers
import torch

from assistant.demo import clips, corpus, eyes, lessons, train
from assistant.demo.ideal import Ideal
from assistant.demo.lessons import Materials


@pytest.fixture(scope="module")
def material() -> Materials:
    nothing = clips.collect(())
    sounds = corpus.Corpus(nothing, nothing, nothing, nothing, nothing, nothing)
    return lessons.materials(sounds, ())


def test_eyes_learn_from_small_pieces_of_pictures(material: Materials) -> None:
    net, heads = train.new_network()
    rng = np.random.default_rng(0)
    loss, scores = eyes.close_loss(net, heads, material, rng, 8)
    torch.autograd.backward(loss)
    tower = net.image_encoder.img_processor
    assert tower.embeddings.patch_embedding.weight.grad is not None
    assert scores.keys() == {"patch", "tint", "shape", "colour"}


def test_eyes_learn_from_whole_pictures_and_to_tell_of_them(
    material: Materials, tokenizer: tokenizers.Tokenizer
) -> None:
    net, heads = train.new_network()
    ideal = Ideal.of(net.decoder.embed_tokens.weight.detach(), tokenizer)
    rng = np.random.default_rng(0)
    loss, scores = eyes.whole_loss(net, heads, ideal, material, rng, 4)
    torch.autograd.backward(loss)
    assert net.image_encoder.img_projection_down.weight.grad is not None
    naming = {"patch", "tint", "shape", "colour"}
    assert scores.keys() == naming | {"place", "rank", "count", "told"}
