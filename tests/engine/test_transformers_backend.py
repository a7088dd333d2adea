"""transformers' own encoders, decoder and cache reply what ours do, token for token."""

from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine.backend import Backend
from assistant.engine.startup import load_backend
from assistant.errors import CheckpointError
from assistant.model.checkpoint_writer import tiny_config, write_checkpoint
from assistant.model.config import Layout
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

pytestmark = pytest.mark.parity

LAYOUTS: tuple[Layout, ...] = ("native", "original")


def config(folder: Path, kind: str) -> EngineConfig:
    return EngineConfig(
        model=str(folder),
        backend="transformers" if kind == "transformers" else "native",
        device="cpu",
        num_slots=2,
        max_sequence_tokens=2048,
    )


@pytest.fixture(scope="module", params=LAYOUTS)
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    # 448-pixel crops, as in the real model.
    folder: Path = tmp_path_factory.mktemp("models") / request.param
    write_checkpoint(folder, tiny_config(request.param), seed=3)
    return folder


@pytest.fixture(scope="module")
def backends(folder: Path) -> tuple[Backend, Backend]:
    native, other = (load_backend(config(folder, k)) for k in ("native", "transformers"))
    other.warm_up()
    for backend in (native, other):
        backend.stop_ids = frozenset()  # a random model may stop at once
    return native, other


@pytest.mark.parametrize("kind", prompts())
def test_both_backends_reply_the_same_tokens(
    folder: Path, backends: tuple[Backend, Backend], kind: str
) -> None:
    adapter, parts = prompts()[kind]
    settings = config(folder, "native")
    native, other = (reply(backend, settings, adapter, parts) for backend in backends)
    assert native == other
    assert len(native) == 24


def test_both_backends_agree_after_rollback_eviction_and_a_second_turn(
    folder: Path, backends: tuple[Backend, Backend]
) -> None:
    replies = []
    for backend in backends:
        desk = Desk(backend, config(folder, "native"))
        desk.order(link.Open(1, "vision"), link.Mark(1, 0))
        desk.order(link.Append(1, [link.ControlPart("user"), photo()]), link.Mark(1, 1))
        desk.order(link.Append(1, turn(link.TextPart("wrong"))[1:]))
        desk.order(link.Generate(1, 1, link.Sampling(max_tokens=9)))
        desk.run()
        desk.order(link.Rollback(1, 1), link.Append(1, turn(speech())[1:]))
        desk.order(link.Generate(1, 2, link.Sampling(max_tokens=9)))
        desk.run()
        for number in (2, 3):
            desk.ask(number, *prompts()["speech"], num=3)
        desk.run()
        desk.order(link.Append(1, turn(link.TextPart("and now?"))))
        desk.order(link.Generate(1, 3, link.Sampling(max_tokens=9)))
        desk.run()
        replies.append([desk.ids(1, number) for number in (1, 2, 3)])
    assert replies[0] == replies[1]


def test_embeddings_agree(backends: tuple[Backend, Backend]) -> None:
    for adapter in ("speech", "vision"):
        for part in (photo(2), speech()):
            found = []
            for backend in backends:
                media = backend.prepare(part, adapter).media
                with torch.inference_mode():
                    embeds = encode_whole(backend, media, adapter)
                found.append(embeds)
            torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_embeddings_of_a_recording_in_parts_agree(
    backends: tuple[Backend, Backend],
) -> None:
    samples = np.random.default_rng(4).standard_normal(windows_samples() + 9000) * 0.1
    data = samples.astype("<f4").tobytes()
    start = 4 * (link.AUDIO_WINDOW_SAMPLES - link.AUDIO_CONTEXT_SAMPLES)
    parts = [
        link.AudioPart(data[: 4 * windows_samples()]),
        link.AudioPart(data[start:], is_continuation=True),
    ]
    for part in parts:
        found = []
        for backend in backends:
            chunk = backend.prepare(part, "speech")
            with torch.inference_mode():
                found.append(encode_whole(backend, chunk.media, "speech"))
            assert len(found[-1]) == chunk.num_tokens
        torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def windows_samples() -> int:
    return link.AUDIO_WINDOW_SAMPLES + link.AUDIO_OVERHANG_SAMPLES


def test_a_text_only_model_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "text", tiny_config("text"))
    with pytest.raises(CheckpointError, match="text-only"):
        load_backend(config(tmp_path / "text", "transformers"))
