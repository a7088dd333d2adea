import msgspec
import pytest

from assistant.turns.input_format import BETA, InputFormat, checked
from assistant.wire.client_events import AudioFormat
from assistant.wire.refusals import EventRefused


def read(**form: object) -> InputFormat:
    """Read a format as a client would send it."""
    return checked(msgspec.convert(form, AudioFormat))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "audio/pcm"}, InputFormat()),
        ({"type": "audio/pcm", "rate": None}, InputFormat()),
        ({"type": "audio/pcm", "rate": 24_000}, InputFormat()),
        ({"type": "audio/pcm", "rate": 16_000}, InputFormat("audio/pcm", 16_000)),
        ({"type": "audio/pcmu"}, InputFormat("audio/pcmu", 8_000)),
        ({"type": "audio/pcma", "rate": 8_000}, InputFormat("audio/pcma", 8_000)),
    ],
)
def test_formats_are_read_with_their_rates(
    form: dict[str, object], expected: InputFormat
) -> None:
    assert read(**form) == expected


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"type": "audio/pcm", "rate": 8_000}, "integer_below_min_value"),
        ({"type": "audio/pcm", "rate": -1}, "integer_below_min_value"),
        ({"type": "audio/pcm", "rate": 44_100}, "invalid_value"),
        ({"type": "audio/pcmu", "rate": 16_000}, "invalid_value"),
    ],
)
def test_a_rate_that_is_not_taken_is_refused_by_its_path(
    form: dict[str, object], code: str
) -> None:
    with pytest.raises(EventRefused) as refused:
        read(**form)
    assert refused.value.code == code
    assert refused.value.param == "session.audio.input.format.rate"


@pytest.mark.parametrize(
    ("form", "num_bytes"),
    [
        (InputFormat(), 48_000),
        (InputFormat("audio/pcm", 16_000), 32_000),
        (InputFormat("audio/pcmu", 8_000), 8_000),
        (InputFormat("audio/pcma", 8_000), 8_000),
    ],
)
def test_a_second_of_any_format_is_16000_samples(form: InputFormat, num_bytes: int) -> None:
    assert form.num_samples(num_bytes) == 16_000


def test_the_old_names_mean_the_same_formats() -> None:
    assert BETA["pcm16"] == read(type="audio/pcm")
    assert BETA["g711_ulaw"] == read(type="audio/pcmu")
    assert BETA["g711_alaw"] == read(type="audio/pcma")
