"""
The engine process: ``python -m assistant.engine.process --socket PATH --config-json JSON``.

Prints one clear line and exits with 3 when it cannot start. Ends with 0 on SIGTERM, and
is killed by the kernel when its parent dies, so that no orphan holds a GPU.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch

from assistant import config, log
from assistant.engine.loop import Loop
from assistant.engine.startup import choose_num_threads, load_backend
from assistant.errors import AssistantError, ConfigError, EngineError

logger = logging.getLogger(__name__)

CANNOT_START = 3
MAX_SOCKET_PATH_BYTES = 107
"""sun_path in Linux's sockaddr_un holds 108 bytes, the last one a zero."""
PR_SET_PDEATHSIG = 1


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; return the exit status."""
    options = _parse(argv)
    log.set_up(options.log_level)
    parent = options.parent_pid or os.getppid()
    _die_with(parent)
    # Pictures and recordings of users lie in this process's memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, _exit_now)
    if options.parent_pid:
        # Ctrl-C reaches the whole process group; the parent wants to finish its replies.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGINT, _exit_now)
    try:
        serve(options.socket, parse_config(options.config_json))
    except AssistantError as error:
        print(f"engine: {error}", file=sys.stderr)  # noqa: T201 # whoever started it reads it
        return CANNOT_START
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m assistant.engine.process")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--config-json", default="{}", help="EngineConfig, differences")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument(
        "--parent-pid", type=int, default=0, help="exit unless this is the parent"
    )
    return parser.parse_args(argv)


def parse_config(document: str) -> config.EngineConfig:
    """
    Return the configuration that a JSON object states the differences of.

    Raises:
        ConfigError: It is not a JSON object, or a key or value in it is wrong.
    """
    try:
        values = json.loads(document)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--config-json: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError("--config-json: must be an object")
    options = {f"engine.{key}": ("--config-json", value) for key, value in values.items()}
    # How long replies may get is checked against the engine where both are known.
    options["reply.max_output_tokens"] = ("--config-json", 1)
    return config.load(options=options).config.engine


def serve(path: Path, engine: config.EngineConfig) -> None:
    """
    Load the model and serve it at ``path`` until a signal.

    Gateways may connect at once; they are greeted when the model is warm.
    """
    torch.set_num_threads(choose_num_threads(engine.threads))
    with listening(path) as listener:
        backend = load_backend(engine)
        backend.warm_up()
        # What is loaded stays: the collector need not look at it ever again.
        gc.collect()
        gc.freeze()
        loop = Loop(listener, backend, engine)

        def stop(number: int, frame: FrameType | None) -> None:
            loop.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is _exit_now:
                signal.signal(number, stop)
        logger.info("serving %s on %s as %s", backend.model, backend.device, backend.dtype)
        loop.run()


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """
    Listen at ``path``, for this user only; remove the socket in the end.

    The path appears when connections are accepted, not before: who waits for the file may
    connect at once.

    Raises:
        EngineError: The path cannot be listened at, or somebody listens there.
    """
    early = path.with_name(f"{path.name}~")
    if len(os.fsencode(early)) > MAX_SOCKET_PATH_BYTES:
        raise EngineError(
            f"socket path {path} has {len(os.fsencode(path))} bytes, "
            f"the bound is {MAX_SOCKET_PATH_BYTES - 1}"
        )
    _remove_stale(path)
    _remove_stale(early)
    with socket.socket(socket.AF_UNIX) as listener:
        mask = os.umask(0o177)
        try:
            listener.bind(str(early))
            listener.listen()
            early.rename(path)
        except OSError as error:
            raise EngineError(f"socket path {path}: {error.strerror}") from error
        finally:
            os.umask(mask)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that was killed; refuse one that is in use."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise EngineError(f"socket path {path}: {error.strerror}") from error
    raise EngineError(f"socket path {path}: another engine listens there")


def _exit_now(number: int, frame: FrameType | None) -> None:
    """Leave while the model is loading; the socket is removed on the way out."""
    raise SystemExit(0)


def _die_with(parent: int) -> None:
    """
    Be killed when the parent dies (Linux).

    The kernel means the *thread* that started this process: it has to live as long as
    the engine is wanted. SIGKILL, because a process stuck in a kernel call or a long
    computation would not get round to anything milder.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
