"""Makefile, pins, Dockerfile and CI agree with each other and with the tree."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from assistant.__main__ import build_parser
from assistant.config import load

PROJECT = Path(__file__).parent.parent
MAKEFILE = (PROJECT / "Makefile").read_text()
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
PINS = [
    line
    for line in (PROJECT / "configs" / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def name_of(requirement: str) -> str:
    """Return the normalised package name of a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=;\[ ]", requirement)[0]).lower()


def test_every_pin_is_exact_and_comes_from_an_index() -> None:
    for pin in PINS:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin), pin


def test_what_depends_on_the_machine_is_not_pinned() -> None:
    for name in map(name_of, PINS):
        assert name not in {"torch", "triton", "pip", "setuptools", "phi-assistant"}
        assert not name.startswith(("nvidia", "cuda"))


def test_every_direct_dependency_but_torch_is_pinned() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {*project["dependencies"], *extras["engine"], *extras["dev"]}
    assert {name_of(requirement) for requirement in wanted} - {"torch"} <= {
        name_of(pin) for pin in PINS
    }


def test_makefile_and_dockerfile_install_the_same_torch() -> None:
    versions = re.findall(r"\btorch==([\d.]+)", MAKEFILE + DOCKERFILE)
    assert len(versions) == 2
    assert len(set(versions)) == 1


def test_what_the_dockerfile_copies_is_there() -> None:
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (PROJECT / source).exists(), source


def test_the_image_runs_a_command_that_exists_as_nobody_special() -> None:
    command = json.loads(re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)[-1])
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command[0] in scripts
    assert build_parser().parse_args(command[1:]).host == "0.0.0.0"
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] not in ("root", "0")


def test_the_image_exposes_the_ports_that_its_configuration_gives_to_webrtc() -> None:
    effective = load(PROJECT / "configs" / "container.toml")
    rtc = effective.config.rtc
    ((first, last),) = re.findall(r"^EXPOSE (\d+)-(\d+)/udp$", DOCKERFILE, re.MULTILINE)
    assert (int(first), int(last)) == (rtc.min_port, rtc.max_port)
    assert rtc.max_port - rtc.min_port + 1 == rtc.max_calls
    published = f"-p {first}-{last}:{first}-{last}/udp"
    for text in (DOCKERFILE, (PROJECT / "configs" / "container.toml").read_text()):
        assert published in text


def test_the_health_check_of_the_image_is_a_program() -> None:
    (check,) = re.findall(r"^ +CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    program = json.loads(check)
    assert program[:2] == ["python", "-c"]
    compile(program[2], "healthcheck", "exec")


def test_ci_is_a_valid_program_that_may_be_run() -> None:
    ci = PROJECT / ".ci" / "run"
    assert os.access(ci, os.X_OK)
    subprocess.run(["bash", "-n", str(ci)], check=True)
    assert "make test" in ci.read_text()


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize(
    "target", ["help", "run", "test", "unit", "check", "bench", "clean"]
)
def test_every_target_of_the_makefile_can_be_planned(target: str, tmp_path: Path) -> None:
    planned = subprocess.run(
        ["make", "--dry-run", f"VENV={tmp_path}", target],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env={**os.environ, "MAKEFLAGS": ""},
    )
    assert planned.returncode == 0, planned.stderr
    assert "warning" not in planned.stderr


def test_the_readme_shows_every_command_and_option() -> None:
    readme = (PROJECT / "README.md").read_text()
    usage = build_parser().format_help()
    for command in re.findall(r"^    (\w+) ", usage, re.MULTILINE):
        assert f"assistant {command}" in readme
    for module in sorted((PROJECT / "assistant" / "cli").glob("*.py")):
        for option in re.findall(r'add_argument\(\s*"(--\w+)"', module.read_text()):
            assert option in readme, option


def test_the_readme_maps_every_module_of_the_command_line() -> None:
    readme = (PROJECT / "README.md").read_text()
    for module in sorted((PROJECT / "assistant" / "cli").glob("[a-z]*.py")):
        assert module.name in readme, module.name
