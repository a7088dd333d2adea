import pytest
import tokenizers

from assistant.demo import dialogues
from assistant.demo.network import VOCAB_SIZE
from assistant.model.tokenizer_trainer import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> tokenizers.Tokenizer:
    """The demo's own; training it takes a second."""
    return train_tokenizer(VOCAB_SIZE, "native", dialogues.texts_for_tokenizer())
