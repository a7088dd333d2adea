import pytest
import torch

from assistant.engine.backend import PartlyEncoded
from assistant.engine.runner import Runner, failure_code
from assistant.engine.scheduler import Decode, Encode, Prefill
from assistant.engine.sequence import Chunk, Sequence, text_chunk
from assistant.errors import MediaError, RequestRefused
from assistant.wire import link
from assistant.wire.link import Sampling
from tests.engine.fakes import FakeBackend


def a_sequence(*chunks: Chunk) -> Sequence:
    sequence = Sequence((0, 1), "none", max_tokens=100)
    sequence.append(chunks)
    return sequence


def picture() -> Chunk:
    return Chunk(kind="image", num_tokens=3, media=b"cat", is_encoded=False)


def test_encoding_replaces_the_prepared_media_by_its_embeddings() -> None:
    chunk = picture()
    assert Runner(FakeBackend()).run(Encode(a_sequence(chunk), chunk)) == []
    assert chunk.is_encoded
    assert isinstance(chunk.media, int)


def test_a_prefill_without_a_reply_computes_no_logits() -> None:
    sequence = a_sequence(text_chunk([1, 2, 3]))
    assert Runner(FakeBackend()).run(Prefill(sequence, 0, 0, 3)) == []
    assert sequence.num_computed == 3


def test_the_last_prefill_of_a_prompt_gives_the_first_token() -> None:
    sequence = a_sequence(text_chunk([1, 2, 3]))
    sequence.begin(1, Sampling(max_tokens=5), now=0.0)
    runner = Runner(FakeBackend())
    runner.begin(sequence)
    assert runner.run(Prefill(sequence, 0, 0, 2)) == []
    ((owner, token),) = runner.run(Prefill(sequence, 0, 2, 3))
    assert owner is sequence
    assert token is not None
    runner.end(sequence)


def test_a_decode_step_gives_every_sequence_its_token() -> None:
    backend = FakeBackend()
    runner = Runner(backend)
    sequences = []
    for slot in (0, 1):
        sequence = a_sequence(text_chunk([slot, 2]))
        runner.run(Prefill(sequence, slot, 0, 1))
        sequence.begin(1, Sampling(max_tokens=5), now=0.0)
        runner.begin(sequence)
        sequences.append(sequence)
    first, second = sequences
    tokens = runner.run(Decode("none", (first, second), (0, 1)))
    assert [owner for owner, _ in tokens] == sequences
    assert backend.calls[-1] == "decode 2"
    assert first.num_computed == 2
    assert backend.begun == [([2, 2], [token for _, token in tokens])], "and goes on"


def test_a_chunk_is_encoded_when_the_backend_has_nothing_left_of_it() -> None:
    class Slow(FakeBackend):
        def encode(self, media: object, adapter: link.Adapter) -> object:
            if isinstance(media, PartlyEncoded):
                return super().encode(media.state, adapter)
            return PartlyEncoded(media)

    runner = Runner(Slow())
    chunk = picture()
    sequence = a_sequence(chunk)
    runner.run(Encode(sequence, chunk))
    assert not chunk.is_encoded
    runner.run(Encode(sequence, chunk))
    assert chunk.is_encoded


def test_offloading_moves_encoded_media_only() -> None:
    backend = FakeBackend()
    runner = Runner(backend)
    done, waiting = picture(), picture()
    sequence = a_sequence(text_chunk([1]), done, waiting)
    runner.run(Encode(sequence, done))
    runner.offload(sequence)
    assert backend.calls == ["encode", "offload"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MediaError("image_invalid", "why"), "image_invalid"),
        (RequestRefused("context_length_exceeded", "why"), "context_length_exceeded"),
        (torch.OutOfMemoryError("why"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("why"), "internal_error"),
    ],
    ids=lambda value: str(value) or type(value).__name__,
)
def test_every_exception_has_a_stable_code(error: Exception, code: str) -> None:
    assert failure_code(error) == code
