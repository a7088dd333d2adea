"""
A stand-in for the engine process: ``stand_in.py --socket PATH --mode MODE``.

Modes: ``work``; ``refuse`` and ``crash`` (end at once with status 3 or 1); ``half`` (listen
and end); ``mute`` (listen and say nothing); ``absent`` (never listen).
"""

import argparse
import signal
import socket
import sys
from pathlib import Path

from assistant.wire import link

READY = link.Ready(
    model="stand-in",
    device="cpu",
    dtype="float32",
    max_sequence_tokens=4096,
    num_slots=1,
    is_meaningless=True,
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--mode", required=True)
    options = parser.parse_args()
    if options.mode in ("refuse", "crash"):
        return 3 if options.mode == "refuse" else 1
    if options.mode == "absent":
        signal.pause()
    with socket.socket(socket.AF_UNIX) as listener:
        early = options.socket.with_suffix(".early")
        listener.bind(str(early))
        listener.listen()
        early.rename(options.socket)
        connection, _ = listener.accept()
        if options.mode == "half":
            return 3
        if options.mode == "mute":
            signal.pause()
        _serve(connection)
    return 0


def _serve(connection: socket.socket) -> None:
    """Answer pings; end when asked to generate."""
    connection.sendall(link.encode(READY))
    deframer = link.Deframer()
    while data := connection.recv(2**16):
        for payload in deframer.receive_data(data):
            order = link.decode_order(payload)
            if isinstance(order, link.Ping):
                connection.sendall(link.encode(link.Pong(order.nonce)))
            elif isinstance(order, link.Generate):
                sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
