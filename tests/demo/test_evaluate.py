import numpy as np
import pytest
import tokenizers
import torch

from assistant.demo import ask, checkpoint, clips, corpus, evaluate
from assistant.demo.network import Network, demo_config
from assistant.demo.talk import Spelling
from assistant.model.phi4 import Phi4Multimodal


def test_case_and_the_last_mark_make_no_difference() -> None:
    assert evaluate.says("It is red.", " it is red")
    assert not evaluate.says("It is red.", "It is blue.")


def test_what_is_absent_is_said_and_left_out(
    tokenizer: tokenizers.Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ask, "MAX_ANSWER_TOKENS", 2)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("demo") / "model"
    checkpoint.write(folder, Network(demo_config()), tokenizer)
    model = Phi4Multimodal.load(folder, device="cpu", dtype=torch.float32)
    person = clips.collect([("seven", "set:anna", np.ones((40, 80)))])
    nothing = clips.collect(())
    sounds = corpus.Corpus(nothing, nothing, nothing, nothing, person, nothing)
    lines: list[str] = []
    scores = evaluate.evaluate(
        model, Spelling(tokenizer), sounds, (), count=2, say=lines.append
    )
    assert any(line.startswith("synthetic voices") and "absent" in line for line in lines)
    assert "synthetic voices" not in scores
    assert scores["people, digits"] in (0, 1)
    assert "typed" in scores
