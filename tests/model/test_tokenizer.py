import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from assistant.errors import CheckpointError
from assistant.model.config import Layout
from assistant.model.tokenizer import Tokenizer
from assistant.model.tokenizer_trainer import special_tokens

SPELLINGS = [
    token.content for token in {*special_tokens("native"), *special_tokens("original")}
]
texts = st.lists(
    st.one_of(st.text(max_size=12), st.sampled_from([*sorted(SPELLINGS), " ", "\n"])),
    max_size=8,
).map("".join)
controls = {1024 - 65 + offset for offset in range(65)}


@given(text=texts)
def test_text_never_becomes_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode_text(text)
    assert controls.isdisjoint(ids)
    assert tokenizer.decode(ids) == text  # and loses nothing, white space included


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_each_control_token_in_text_stays_text(tokenizer: Tokenizer, spelling: str) -> None:
    text = f"a{spelling}  \n b"
    ids = tokenizer.encode_text(text)
    assert controls.isdisjoint(ids)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("layout", ["original", "native"])
def test_control_tokens_are_found_under_both_spellings(
    checkpoints: Path, layout: Layout
) -> None:
    tokenizer = Tokenizer.load(checkpoints / layout, vocab_size=1024)
    ids = tokenizer.control_ids
    assert (ids.image, ids.audio) == (1024 - 54, 1024 - 53)
    assert tokenizer.control("end") == ids.end == 1024 - 44
    assert tokenizer.control("tool_response") == 1024 - 37


def test_phi4_mini_has_no_tokens_for_senses(checkpoints: Path) -> None:
    ids = Tokenizer.load(checkpoints / "text", vocab_size=1024).control_ids
    assert (ids.image, ids.audio, ids.user) == (None, None, 1024 - 43)


def test_control_tokens_add_nothing_to_a_reply_but_tool_calls(tokenizer: Tokenizer) -> None:
    spoken = tokenizer.decode(range(1024 - 65, 1024))
    assert spoken == "<|tool_call|><|/tool_call|>"


def test_ids_without_a_token_add_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([1023, 5000]) == ""


def without(directory: Path, to: Path, content: str) -> Path:
    document = json.loads((directory / "tokenizer.json").read_text())
    document["added_tokens"] = [
        token for token in document["added_tokens"] if token["content"] != content
    ]
    (to / "tokenizer.json").write_text(json.dumps(document))
    return to


def test_a_missing_control_token_is_named(checkpoints: Path, tmp_path: Path) -> None:
    folder = without(checkpoints / "native", tmp_path, "<|tool_call|>")
    with pytest.raises(CheckpointError, match=r"token <\|tool_call\|> is missing"):
        Tokenizer.load(folder, vocab_size=1024)


def test_ids_beyond_the_embedding_are_refused(checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match="has id 988, the embedding holds 512"):
        Tokenizer.load(checkpoints / "native", vocab_size=512)


def test_a_missing_or_damaged_file_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing"):
        Tokenizer.load(tmp_path, vocab_size=1024)
    shutil.copy(checkpoints / "native/config.json", tmp_path / "tokenizer.json")
    with pytest.raises(CheckpointError, match="is not a tokenizer"):
        Tokenizer.load(tmp_path, vocab_size=1024)
