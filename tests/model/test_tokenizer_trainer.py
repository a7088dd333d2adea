from assistant.model.tokenizer_trainer import special_tokens, train_tokenizer


def test_training_is_deterministic() -> None:
    first, second = train_tokenizer(1024, "native"), train_tokenizer(1024, "native")
    assert first.to_str() == second.to_str()


def test_control_tokens_keep_their_distance_from_the_end() -> None:
    tokenizer = train_tokenizer(1024, "original")
    for token in special_tokens("original"):
        found = tokenizer.token_to_id(token.content)
        assert found is not None
        assert 1024 - found == 200_064 - token.real_id


def test_only_flagged_tokens_swallow_the_space_after_them() -> None:
    tokenizer = train_tokenizer(1024, "native")
    for token in special_tokens("native"):
        spaced = tokenizer.encode(f"{token.content} \n hello").ids
        tight = tokenizer.encode(f"{token.content}hello").ids
        assert (spaced == tight) == token.takes_space_after


def test_words_are_cut_as_o200k_cuts_them() -> None:
    tokenizer = train_tokenizer(1024, "native")
    cut = tokenizer.pre_tokenizer.pre_tokenize_str("NASA's GPT-4o 123456 don't\n\n  x")
    assert [piece for piece, _ in cut] == [
        "NASA's", "ĠGPT", "-", "4", "o", "Ġ", "123", "456", "Ġdon't", "ĊĊ", "Ġ", "Ġx",
    ]  # fmt: skip
