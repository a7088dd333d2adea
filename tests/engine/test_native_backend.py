import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine.native_backend import NativeBackend
from assistant.engine.sequence import Sequence
from assistant.model.phi4 import Phi4Multimodal
from assistant.wire import link
from tests.engine.model_prompts import (
    Desk,
    encode_whole,
    photo,
    prompts,
    reply,
    speech,
    turn,
)

CONFIG = EngineConfig(num_slots=3, max_sequence_tokens=1024, prefill_chunk_tokens=64)


@pytest.fixture(scope="module")
def backend(demo_folder: Path) -> NativeBackend:
    model = Phi4Multimodal.load(demo_folder, device="cpu", dtype=torch.float32)
    backend = NativeBackend(model, "demo", CONFIG)
    backend.warm_up()
    backend.stop_ids = frozenset()  # a random model may stop at once, which shows little
    return backend


def prefill(backend: NativeBackend, slot: int, cuts: list[int]) -> torch.Tensor:
    """Return logits after a picture and text, read in pieces cut at ``cuts``."""
    sequence = Sequence((0, 0), "vision", max_tokens=1024)
    parts = turn(photo(), link.TextPart("hi"))
    sequence.append([backend.prepare(part, "vision") for part in parts])
    for chunk in sequence.chunks:
        if not chunk.is_encoded:
            chunk.media = encode_whole(backend, chunk.media, "vision")
            chunk.is_encoded = True
    logits = None
    for start, stop in itertools.pairwise([0, *cuts, sequence.num_tokens]):
        pieces = sequence.pieces(start, stop)
        is_last = stop == sequence.num_tokens
        logits = backend.prefill("vision", slot, start, pieces, wants_logits=is_last)
    assert logits is not None
    return logits


def test_the_vocabulary_spells_every_token_and_hides_the_controls(
    backend: NativeBackend,
) -> None:
    vocabulary = backend.vocabulary
    assert len(vocabulary.pieces) == backend.vocab_size
    assert {bytes([byte]) for byte in range(256)} <= set(vocabulary.pieces)
    assert (
        vocabulary.pieces[vocabulary.call] == vocabulary.pieces[vocabulary.call_end] == b""
    )


@pytest.mark.parity
@torch.inference_mode()
def test_a_prompt_read_in_pieces_gives_the_logits_of_one_read_at_once(
    backend: NativeBackend,
) -> None:
    whole, cut = prefill(backend, 0, [1]), prefill(backend, 1, [3, 40, 41, 100])
    assert whole.shape == (backend.vocab_size,)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(whole, cut, atol=1e-4, rtol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["text", "speech and text", "vision", "vision and speech"])
def test_a_reply_is_the_same_in_a_full_batch_as_alone(
    backend: NativeBackend, kind: str
) -> None:
    adapter, parts = prompts()[kind]
    alone = reply(backend, CONFIG, adapter, parts)
    desk = Desk(backend, CONFIG)
    for number, mates in enumerate(("text", "speech")):
        desk.ask(number, *prompts()[mates], num=30)
    desk.ask(2, adapter, parts, num=24)
    desk.run()
    assert desk.ids(2) == alone
    assert len(alone) == 24


def test_a_clip_is_projected_as_the_adapter_says(backend: NativeBackend) -> None:
    clip = backend.prepare(speech(), "speech")
    as_speech = encode_whole(backend, clip.media, "speech")
    assert as_speech.shape[0] == clip.num_tokens
    assert torch.equal(as_speech, encode_whole(backend, clip.media, "none"))
    assert not torch.allclose(as_speech, encode_whole(backend, clip.media, "vision"))


def test_media_take_as_many_positions_as_were_counted(backend: NativeBackend) -> None:
    for part in (photo(1), photo(3), speech(), _silence(400), _silence(41 * 16_000)):
        chunk = backend.prepare(part, "vision")
        embeds = encode_whole(backend, chunk.media, "vision")
        assert embeds.shape[0] == chunk.num_tokens


def _silence(num_samples: int) -> link.AudioPart:
    return link.AudioPart(np.zeros(num_samples, dtype="<f4").tobytes())


def test_a_rolled_back_sequence_replies_as_a_fresh_one(backend: NativeBackend) -> None:
    desk = Desk(backend, CONFIG)
    before: list[link.Part] = [link.ControlPart("user"), photo()]
    after = turn(speech())[1:]
    desk.order(link.Open(1, "vision"), link.Append(1, before), link.Mark(1, 1))
    desk.order(link.Append(1, turn(link.TextPart("something else"))))
    desk.order(link.Generate(1, 1, link.Sampling(max_tokens=9)))
    desk.run()
    desk.order(link.Rollback(1, 1), link.Append(1, after))
    desk.order(link.Generate(1, 2, link.Sampling(max_tokens=24)))
    desk.run()
    assert desk.ids(1, 2) == reply(backend, CONFIG, "vision", [*before, *after])


@pytest.mark.parity
def test_a_window_read_while_somebody_speaks_changes_no_token(
    backend: NativeBackend,
) -> None:
    num_first = link.AUDIO_WINDOW_SAMPLES + link.AUDIO_OVERHANG_SAMPLES
    samples = np.random.default_rng(7).standard_normal(num_first + 30_000) * 0.1
    data = samples.astype("<f4").tobytes()
    back = link.AUDIO_WINDOW_SAMPLES - link.AUDIO_CONTEXT_SAMPLES
    window = link.AudioPart(data[: 4 * num_first])
    rest = link.AudioPart(data[4 * back :], is_continuation=True)
    head, tail = [link.ControlPart("user")], [link.ControlPart("end")]
    plain = reply(backend, CONFIG, "speech", [*head, link.AudioPart(data), *tail])
    desk = Desk(backend, CONFIG)
    desk.order(link.Open(1, "speech"), link.Append(1, [*head, window]))
    desk.run()
    desk.order(link.Append(1, [rest, *tail]))
    desk.order(link.Generate(1, 1, link.Sampling(max_tokens=24)))
    desk.run()
    assert desk.ids(1) == plain
    assert len(plain) == 24


def test_an_evicted_sequence_replies_as_one_that_was_not(backend: NativeBackend) -> None:
    desk = Desk(backend, CONFIG)
    desk.order(link.Open(1, "vision"), link.Append(1, turn(photo(), speech())))
    desk.run()
    for number in range(2, 2 + CONFIG.num_slots):
        desk.ask(number, "none", turn(link.TextPart("hello")), num=2)
    desk.run()
    desk.order(link.Generate(1, 1, link.Sampling(max_tokens=24)))
    desk.run()
    assert desk.ids(1) == reply(backend, CONFIG, "vision", turn(photo(), speech()))


def test_the_text_of_a_reply_is_that_of_its_ids(backend: NativeBackend) -> None:
    desk = Desk(backend, CONFIG)
    desk.ask(1, *prompts()["vision"], num=24)
    desk.run()
    written = [r.text for r in desk.sent if isinstance(r, link.Token | link.Finished)]
    detokenizer = backend.detokenizer()
    spelled = "".join(detokenizer.feed(token) for token in desk.ids(1))
    assert "".join(written) == spelled + detokenizer.finish()
