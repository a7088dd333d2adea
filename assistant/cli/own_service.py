"""
A service of the command's own: ``assistant serve`` on a free port, with a key of its own.

It lives as long as the command and answers nobody else.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from assistant.config import API_KEYS_VARIABLE
from assistant.errors import CommandError

STOP_TIMEOUT_S = 10.0


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """
    Start a service, yield its address and its key, and stop it.

    Args:
        arguments: Further options of ``assistant serve``.

    Raises:
        CommandError: It did not start; its own line on stderr says why.
    """
    key = secrets.token_hex(24)
    command = [sys.executable, "-m", "assistant", "serve", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--log-level", "WARNING", *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, API_KEYS_VARIABLE: key},
        text=True,
    )
    assert process.stdout is not None
    try:
        words = process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise CommandError("the service did not start")
        yield words[1], key
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
