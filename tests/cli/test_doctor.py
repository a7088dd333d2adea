"""``assistant doctor`` says what works and fails exactly when the service would."""

import re
import shutil
import socket
import tomllib
from pathlib import Path

import pytest

from assistant.__main__ import main
from assistant.cli import doctor
from assistant.cli.doctor import Check
from assistant.config import Config, VadConfig
from tests.cli.tiny_checkpoint import write_checkpoint

PROJECT = Path(__file__).parents[2]


def test_the_packages_looked_for_are_those_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[<>=;\[ ]", requirement)[0] for requirement in requirements}

    assert set(doctor.GATEWAY_PACKAGES) == names(project["dependencies"])
    assert set(doctor.ENGINE_PACKAGES) == names(project["optional-dependencies"]["engine"])


def test_installed_packages_are_listed_and_missing_ones_fail() -> None:
    check = doctor.check_packages("engine", ("numpy",))
    assert check.status == "ok"
    assert check.detail.startswith("numpy ")
    missing = doctor.check_packages("engine", ("numpy", "no-such-package"))
    assert missing == Check("fail", "engine", "missing: no-such-package")


def test_a_port_in_use_fails_and_a_free_one_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check = doctor.check_port("127.0.0.1", port)
        assert check.status == "fail"
        assert f"127.0.0.1:{port}: Address already in use" in check.detail
    assert doctor.check_port("127.0.0.1", 0).status == "ok"


def test_an_address_that_is_not_of_this_machine_fails() -> None:
    assert doctor.check_port("192.0.2.1", 0).status == "fail"
    assert doctor.check_port("no.such.host.invalid", 0).status == "fail"


def test_the_model_file_of_the_detector_is_found() -> None:
    check = doctor.check_vad(Config())
    assert check.status == "ok"
    assert check.detail.endswith("silero_vad.onnx")
    assert doctor.check_vad(Config(vad=VadConfig(engine="webrtc"))).status == "ok"


def test_a_checkpoint_is_described_and_a_wrong_one_fails(tmp_path: Path) -> None:
    check = doctor.check_model(str(write_checkpoint(tmp_path / "phi")))
    assert (check.status, "original Phi-4-multimodal" in check.detail) == ("ok", True)
    assert (
        doctor.check_model(str(write_checkpoint(tmp_path / "llama", "llama"))).status
        == "fail"
    )
    assert doctor.check_model("/no/such/model").status == "fail"
    assert doctor.check_model("demo").status == "ok"


def answered(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let ``program`` stand for what the probes would run."""
    monkeypatch.setattr(doctor, "_TORCH_PROBE", program)
    monkeypatch.setattr(doctor, "_CODEC_PROBE", program)


def test_a_crashing_torch_is_one_line_and_takes_nothing_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered(monkeypatch, "raise OSError('libcudart.so.13: not found')")
    check = doctor.check_device("auto")
    assert check == Check(
        "fail", "device", "torch does not work: OSError: libcudart.so.13: not found"
    )
    answered(monkeypatch, "import os; os.abort()")
    assert "exit status -6" in doctor.check_device("auto").detail


FACTS = "{'version': '2', 'threads': 2, 'cuda': %r, 'memory': 150 << 30}"


def test_a_device_that_is_demanded_and_absent_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered(monkeypatch, f"import json; print(json.dumps({FACTS % ''}))")
    assert doctor.check_device("auto").status == "ok"
    assert doctor.check_device("cpu").status == "ok"
    assert doctor.check_device("cuda").status == "fail"


def test_a_device_is_named_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, f"import json; print(json.dumps({FACTS % 'H200'}))")
    assert doctor.check_device("cuda").detail == "torch 2, H200, 150 GiB"


def test_the_codecs_of_this_machine_work() -> None:
    check = doctor.check_codecs()
    assert check.status == "ok"
    assert "WAV" in check.detail


def test_a_missing_chromium_is_only_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert doctor.check_chromium().status == "warn"


@pytest.mark.parametrize(
    ("statuses", "status", "summary"),
    [
        (["ok", "warn"], 0, "1 ok, 1 warn, 0 fail: the service would start"),
        (["ok", "fail"], 1, "1 ok, 0 warn, 1 fail: the service would not start"),
    ],
)
def test_the_last_line_sums_up_and_the_status_follows(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    statuses: list[doctor.Status],
    status: int,
    summary: str,
) -> None:
    checks = [Check(one, "x", "y") for one in statuses]
    monkeypatch.setattr(doctor, "examine", lambda _config: iter(checks))
    assert main(["doctor"]) == status
    assert capsys.readouterr().out.splitlines()[-1] == summary


def test_every_subject_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, f"import json; print(json.dumps({FACTS % ''}))")
    subjects = {check.subject for check in doctor.examine(Config())}
    assert subjects == {
        *("python", "gateway", "engine", "web page", "port", "vad", "model"),
        *("codecs", "device", "kernels", "chromium", "webrtc"),
    }
