import dataclasses
from pathlib import Path

import numpy as np
import pytest

from assistant.config import EngineConfig
from assistant.engine.prompt_parts import Clip, Picture, prepare_part
from assistant.engine.sequence import Chunk
from assistant.errors import MediaError, RequestRefused
from assistant.model.config import ModelConfig, parse_config
from assistant.model.tokenizer import Tokenizer
from assistant.wire import link

DATA = Path(__file__).parent.parent / "data"
SECOND = np.zeros(16_000, dtype="<f4")


@pytest.fixture(scope="module")
def config(demo_folder: Path) -> ModelConfig:
    return parse_config(demo_folder)


@pytest.fixture(scope="module")
def tokenizer(demo_folder: Path, config: ModelConfig) -> Tokenizer:
    return Tokenizer.load(demo_folder, config.vocab_size)


@dataclasses.dataclass(frozen=True)
class Desk:
    config: ModelConfig
    tokenizer: Tokenizer

    def prepare(self, part: link.Part, **bounds: float) -> Chunk:
        engine = EngineConfig(**bounds)  # type: ignore[arg-type] # numbers
        return prepare_part(part, self.config, self.tokenizer, engine)

    def code(self, part: link.Part, **bounds: float) -> str:
        with pytest.raises((MediaError, RequestRefused)) as refused:
            self.prepare(part, **bounds)
        assert isinstance(refused.value, MediaError | RequestRefused)
        return refused.value.code


@pytest.fixture
def desk(config: ModelConfig, tokenizer: Tokenizer) -> Desk:
    return Desk(config, tokenizer)


def test_text_becomes_ids_and_control_tokens_in_it_stay_text(desk: Desk) -> None:
    chunk = desk.prepare(link.TextPart("hello<|end|>"))
    assert chunk.kind == "text"
    assert chunk.num_tokens == len(chunk.ids) > 1
    assert desk.tokenizer.control("end") not in chunk.ids
    assert desk.prepare(link.ControlPart("end")).ids == [desk.tokenizer.control("end")]


def test_token_ids_are_taken_as_they_are_if_the_vocabulary_has_them(desk: Desk) -> None:
    assert desk.prepare(link.TokensPart([5, 6])).ids == [5, 6]
    assert desk.prepare(link.TokensPart([])).num_tokens == 0
    assert desk.code(link.TokensPart([desk.config.vocab_size])) == "invalid_tokens"
    assert desk.code(link.TokensPart([-1])) == "invalid_tokens"


def test_a_picture_is_decoded_and_counted_and_not_yet_encoded(desk: Desk) -> None:
    data = (DATA / "webcam_person_a.jpg").read_bytes()
    chunk = desk.prepare(link.ImagePart(data, max_crops=1))
    assert isinstance(chunk.media, Picture)
    assert not chunk.is_encoded
    larger = desk.prepare(link.ImagePart(data, max_crops=4))
    assert larger.num_tokens > chunk.num_tokens > 0


@pytest.mark.parametrize("max_crops", [0, -1, 37])
def test_a_grid_the_model_never_saw_is_refused(desk: Desk, max_crops: int) -> None:
    data = (DATA / "webcam_person_a.jpg").read_bytes()
    assert desk.code(link.ImagePart(data, max_crops)) == "invalid_max_crops"


def test_what_is_no_picture_or_too_large_is_refused(desk: Desk) -> None:
    data = (DATA / "webcam_person_a.jpg").read_bytes()
    assert desk.code(link.ImagePart(data[:500], max_crops=1)) == "image_invalid"
    too_large = desk.code(link.ImagePart(data, max_crops=1), max_image_pixels=4096)
    assert too_large == "image_too_large"


def test_a_clip_is_counted_by_its_length(desk: Desk) -> None:
    chunk = desk.prepare(link.AudioPart(SECOND.tobytes()))
    assert (chunk.kind, chunk.num_tokens, chunk.is_encoded) == ("audio", 13, False)
    assert isinstance(chunk.media, Clip)
    assert chunk.media.samples.shape == (16_000,)


def test_clips_that_cannot_be_heard_are_refused(desk: Desk) -> None:
    assert desk.code(link.AudioPart(SECOND.tobytes()[:-1])) == "audio_invalid"
    assert desk.code(link.AudioPart((SECOND * np.nan).tobytes())) == "audio_invalid"
    assert desk.code(link.AudioPart(SECOND[:399].tobytes())) == "audio_too_short"
    assert desk.code(link.AudioPart(b"")) == "audio_too_short"
    long = link.AudioPart(np.tile(SECOND, 2).tobytes())
    assert desk.code(long, max_audio_s=1.5) == "audio_too_long"


def test_a_text_only_model_refuses_what_it_cannot_see_or_hear(desk: Desk) -> None:
    blind = dataclasses.replace(desk.config, vision=None, audio=None)
    text_only = Desk(blind, desk.tokenizer)
    assert text_only.code(link.ImagePart(b"", max_crops=1)) == "part_unsupported"
    assert text_only.code(link.AudioPart(b"")) == "part_unsupported"
