"""A model with random weights calls functions with valid arguments, and nothing else."""

import importlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine.native_backend import NativeBackend
from assistant.model.phi4 import Phi4Multimodal
from assistant.wire import link
from tests.engine.model_prompts import Desk, turn

CONFIG = EngineConfig(num_slots=8, max_sequence_tokens=512, prefill_chunk_tokens=64)
SCHEMAS: dict[str, dict[str, Any]] = {
    "set_temperature": {
        "type": "object",
        "properties": {
            "zone": {"enum": ["driver", "passenger", "rear"]},
            "celsius": {"type": "number", "minimum": 16, "maximum": 30},
        },
        "required": ["zone", "celsius"],
    },
    "order": {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "dish": {"type": "string", "minLength": 1, "maxLength": 20},
                        "count": {"type": "integer", "minimum": 1, "maximum": 12},
                        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    },
                    "required": ["dish", "count"],
                },
                "minItems": 1,
                "maxItems": 4,
            },
            "to_go": {"type": "boolean"},
        },
        "required": ["items"],
    },
    "remember": {"type": "object"},
}
FUNCTIONS = [link.Function(name, json.dumps(s)) for name, s in SCHEMAS.items()]


@pytest.fixture(scope="module")
def backend(demo_folder: Path) -> NativeBackend:
    model = Phi4Multimodal.load(demo_folder, device="cpu", dtype=torch.float32)
    return NativeBackend(model, "demo", CONFIG)


def check(backend: NativeBackend, seeds: range) -> None:
    """Let the model answer as many prompts, eight at a time, and judge every answer."""
    jsonschema = importlib.import_module("jsonschema")
    desk = Desk(backend, CONFIG)
    names = set()
    for seed in seeds:
        rng = random.Random(seed)
        words = " ".join(rng.choices(["turn", "order", "please", "hot", "two"], k=9))
        sampling = link.Sampling(
            max_tokens=rng.choice([120, 200]),
            temperature=rng.choice([0.0, 0.7, 1.5]),
            seed=seed,
            constraint=link.Constraint(
                functions=FUNCTIONS if seed % 2 else [rng.choice(FUNCTIONS)],
                is_required=True,
            ),
        )
        desk.order(
            link.Open(seed, "none"),
            link.Append(seed, turn(link.TextPart(words))),
            link.Generate(seed, 1, sampling),
        )
        if seed % 8 == 7 or seed == seeds[-1]:
            desk.run()
            desk.order(*(link.Close(number) for number in seeds if number <= seed))
    ends = [report for report in desk.sent if isinstance(report, link.Finished)]
    assert {end.reason for end in ends} == {"stop"}
    assert len(ends) == len(seeds)
    for seed in seeds:
        first, *inner, last = desk.ids(seed)
        vocabulary = backend.vocabulary
        assert (first, last) == (vocabulary.call, vocabulary.call_end)
        (call,) = json.loads(b"".join(vocabulary.pieces[token] for token in inner))
        jsonschema.validate(call["arguments"], SCHEMAS[call["name"]])
        names.add(call["name"])
    assert len(names) > 1


def test_random_weights_call_with_valid_arguments(backend: NativeBackend) -> None:
    check(backend, range(3))


@pytest.mark.parity
def test_random_weights_call_with_valid_arguments_500_times_out_of_500(
    backend: NativeBackend,
) -> None:
    check(backend, range(500))
