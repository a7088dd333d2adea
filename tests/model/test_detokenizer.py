from hypothesis import given, strategies as st

from assistant.model.detokenizer import Detokenizer
from assistant.model.tokenizer import Tokenizer

steps_of_ids = st.lists(st.lists(st.integers(0, 1100), max_size=4), max_size=12)


@given(steps=steps_of_ids)
def test_the_pieces_add_up_to_the_whole(
    tokenizer: Tokenizer, steps: list[list[int]]
) -> None:
    detokenizer = Detokenizer(tokenizer)
    text = "".join(detokenizer.receive(ids) for ids in steps) + detokenizer.flush()
    assert text == tokenizer.decode([token for ids in steps for token in ids])


@given(text=st.text(max_size=30))
def test_half_a_character_is_never_shown(tokenizer: Tokenizer, text: str) -> None:
    detokenizer = Detokenizer(tokenizer)
    shown = ""
    for token in tokenizer.encode_text(text):
        shown += detokenizer.receive([token])
        assert text.startswith(shown)
    assert shown == text
    assert detokenizer.flush() == ""


def test_a_reply_cut_within_a_character_ends_with_a_replacement(
    tokenizer: Tokenizer,
) -> None:
    detokenizer = Detokenizer(tokenizer)
    first_bytes = tokenizer.encode_text("𒀀")[:-1]
    assert len(first_bytes) > 0
    assert detokenizer.receive(first_bytes) == ""
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.receive(tokenizer.encode_text("again")) == "again"


def test_a_tool_call_keeps_its_delimiters(tokenizer: Tokenizer) -> None:
    ids = tokenizer.control_ids
    detokenizer = Detokenizer(tokenizer)
    shown = detokenizer.receive([ids.tool_call, *tokenizer.encode_text("[]")])
    shown += detokenizer.receive([ids.tool_call_end, ids.end])
    assert shown == "<|tool_call|>[]<|/tool_call|>"
