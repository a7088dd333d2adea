import msgspec
import pytest

from assistant.turns.transcription import Transcription, updated
from assistant.wire.client_events import TranscriptionPatch
from assistant.wire.refusals import EventRefused


def update(current: Transcription | None = None, /, **patch: object) -> Transcription:
    """Apply what a client would send."""
    read = msgspec.convert(patch, TranscriptionPatch)
    changed = updated(current, read, model="phi", max_chars=20)
    assert changed is not None
    return changed


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (None, "Transcribe the audio clip into text."),
        ("en", "Transcribe the audio clip into text."),
        ("de", "Transcribe the German audio clip into text."),
        ("pt-BR", "Transcribe the Portuguese audio clip into text."),
        ("ZH_cn", "Transcribe the Chinese audio clip into text."),
        ("xx", "Transcribe the audio clip into text."),
        ("", "Transcribe the audio clip into text."),
    ],
)
def test_a_language_that_the_model_hears_is_named_in_its_prompt(
    language: str | None, words: str
) -> None:
    assert Transcription("phi", language).words == words


def test_what_is_absent_stays_and_what_is_null_goes() -> None:
    first = update(model="whisper-1", language="de", prompt="names")
    assert first == Transcription("whisper-1", "de", "names")
    assert update(first, language="fr") == Transcription("whisper-1", "fr", "names")
    assert update(first, language=None, model=None).language is None
    assert updated(first, msgspec.UNSET, model="phi", max_chars=20) is first
    assert updated(first, None, model="phi", max_chars=20) is None


def test_the_echo_names_a_model_and_nothing_that_was_not_given() -> None:
    assert update().to_wire() == {"model": "phi"}
    assert update(language="de", delay="low").to_wire() == {
        "model": "phi",
        "language": "de",
    }


def test_texts_have_a_bound() -> None:
    with pytest.raises(EventRefused) as refused:
        update(prompt="x" * 21)
    assert refused.value.param == "session.audio.input.transcription.prompt"
