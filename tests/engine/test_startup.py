import dataclasses
from pathlib import Path

import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine import memory, startup
from assistant.engine.native_backend import NativeBackend
from assistant.engine.startup import (
    choose_device,
    choose_dtype,
    choose_num_threads,
    find_model,
    load_backend,
)
from assistant.errors import CheckpointError, ConfigError


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize("wanted", ["abacus", "cuda:99"])
def test_a_device_this_machine_lacks_is_named(wanted: str) -> None:
    with pytest.raises(ConfigError, match=f"engine.device = '{wanted}'"):
        choose_device(wanted)


def test_auto_computes_in_bfloat16_on_a_gpu_and_float32_on_a_cpu() -> None:
    assert choose_dtype("auto", "cpu") is torch.float32
    assert choose_dtype("auto", "cuda") is torch.bfloat16
    assert choose_dtype("bfloat16", "cpu") is torch.bfloat16


def test_the_number_of_threads_is_as_asked_and_never_zero() -> None:
    assert choose_num_threads(3) == 3
    assert choose_num_threads(0) >= 1


def test_the_demo_comes_with_the_package() -> None:
    assert (find_model("demo") / "config.json").is_file()


def test_random_weights_are_made_once(data_home: Path) -> None:
    folder = find_model("random")
    assert folder.is_relative_to(data_home)
    written = (folder / "config.json").stat().st_mtime_ns
    assert find_model("random") == folder
    assert (folder / "config.json").stat().st_mtime_ns == written


def test_weights_that_cannot_be_made_say_why(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_home.write_text("a file where a folder should be")
    with pytest.raises(CheckpointError, match="data"):
        find_model("random")


def test_a_model_that_is_not_here_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="assistant model fetch org/name"):
        find_model("org/name")
    with pytest.raises(CheckpointError, match="no folder"):
        find_model(str(tmp_path / "nothing"))


def test_a_model_folder_becomes_a_backend(demo_folder: Path) -> None:
    config = EngineConfig(model=str(demo_folder), device="cpu", num_slots=2)
    backend = load_backend(config)
    assert (backend.device, backend.dtype) == ("cpu", "float32")
    assert backend.is_meaningless
    assert backend.adapters == {"none", "speech", "vision"}


def test_int8_weights_are_of_our_own_modules_only(demo_folder: Path) -> None:
    config = EngineConfig(model=str(demo_folder), device="cpu", quantization="int8")
    assert load_backend(config).dtype == "float32+int8"
    theirs = dataclasses.replace(config, backend="transformers")
    with pytest.raises(ConfigError, match=r"int8.*needs engine.backend = 'native'"):
        load_backend(theirs)


def test_fp8_is_refused_where_no_unit_multiplies_it(demo_folder: Path) -> None:
    config = EngineConfig(model=str(demo_folder), device="cpu", quantization="fp8")
    with pytest.raises(ConfigError, match=r"'fp8': cpu does not multiply 8-bit floats"):
        load_backend(config)


def test_a_device_that_is_too_small_is_told_before_anything_is_loaded(
    demo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(startup, "native_backend", None)
    config = EngineConfig(model=str(demo_folder), device="cpu", num_slots=3)
    with pytest.raises(ConfigError, match=r"needs .* GB on cpu .* 0\.0 GB are free"):
        load_backend(config)


def test_a_device_that_is_too_small_is_one_clear_line(
    demo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_small(*arguments: object) -> NativeBackend:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB. More.")

    monkeypatch.setattr(startup, "native_backend", too_small)
    config = EngineConfig(model=str(demo_folder), device="cpu", num_slots=3)
    with pytest.raises(ConfigError, match=r"num_slots = 3 does not fit.*out of memory$"):
        load_backend(config)
