"""
A bad network between two namespaces of this machine, for tests of whole calls.

    with ImpairedNetwork("loss10") as network:
        with network.inside("server"):
            subprocess.Popen([sys.executable, "-m", "assistant", ...])
        subprocess.run([*network.at_client, ...])      # the server is network.SERVER
        network.set("car")
        network.counts()["up"]["lost"]

Two network namespaces are joined by two TUN devices; a process of its own holds them and
carries every IP packet from one to the other, or not. The kernel's own impairment (netem)
is not needed, only the right to make namespaces and ``/dev/net/tun``: ``why_not()`` says
what is missing, for tests to skip with. ``up`` is from the client to the server.
"""

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Literal, Self

import msgspec

from tests.impairment import PROFILES, Profile, Way, with_ports_shifted

PROJECT = Path(__file__).parent.parent
TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MAX_PACKET = 65_535
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = itertools.count()


def why_not() -> str | None:
    """Return what stands in the way of an impaired network here, or None."""
    if not sys.platform.startswith("linux"):
        return "needs network namespaces of Linux"
    if shutil.which("ip") is None:
        return "needs the program ip (iproute2)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"needs {TUN}, to read and write"
    name = f"phi-try-{os.getpid()}"
    if not _ip("netns", "add", name, check=False):
        return "may not make network namespaces"
    _ip("netns", "del", name, check=False)
    return None


class ImpairedNetwork:
    """Two namespaces and what lies between them, while the block runs."""

    SERVER, CLIENT = "10.77.0.1", "10.77.0.2"
    SERVER_V6, CLIENT_V6 = "fd77::1", "fd77::2"

    def __init__(self, profile: str = "clean", seed: int = 1) -> None:
        self._name = f"phi{os.getpid()}n{next(_NUMBERS)}"
        self._profile = profile
        self._seed = seed
        self._carrier: subprocess.Popen[str] | None = None

    @property
    def at_client(self) -> list[str]:
        """What to put before a command that is to run at the client's end."""
        return ["ip", "netns", "exec", f"{self._name}c"]

    @property
    def at_server(self) -> list[str]:
        """What to put before a command that is to run at the server's end."""
        return ["ip", "netns", "exec", f"{self._name}s"]

    @contextlib.contextmanager
    def inside(self, end: Literal["client", "server"]) -> Iterator[None]:
        """Let this thread, and what it starts, be at one end while the block runs."""
        with Path("/proc/thread-self/ns/net").open() as home:
            with Path(f"/run/netns/{self._name}{end[0]}").open() as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def __enter__(self) -> Self:
        try:
            for end in "cs":
                _ip("netns", "add", self._name + end)
            self._carrier = subprocess.Popen(
                [sys.executable, "-m", "tests.network", self._name, str(self._seed)],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._ask({})  # answered once the devices are there
            for end, v4, v6 in (
                ("c", self.CLIENT, self.CLIENT_V6),
                ("s", self.SERVER, self.SERVER_V6),
            ):
                self._set_up(self._name + end, v4, v6)
            self.set(self._profile)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._carrier is not None:
            self._carrier.kill()
            self._carrier.communicate()
        for end in "cs":
            _ip("netns", "del", self._name + end, check=False)

    def set(self, up: str | Profile, down: str | Profile | None = None) -> None:
        """Impair the way to the server like this, and the way back (or both alike)."""
        ways = (up, up if down is None else down)
        profiles = [PROFILES[way] if isinstance(way, str) else way for way in ways]
        self._ask({"profiles": [asdict(profile) for profile in profiles]})

    def shift_ports(self, by: int) -> None:
        """Let the client's UDP ports look different from now on, as after a NAT rebind."""
        self._ask({"shift": by})

    def move_client(self, address: str) -> None:
        """Give the client another IPv4 address, as a phone has that leaves its Wi-Fi."""
        namespace = f"{self._name}c"
        _ip("-n", namespace, "addr", "flush", "dev", namespace, "scope", "global")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", namespace)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what became of the packets so far, ``up`` and ``down``."""
        return self._ask({})

    def _ask(self, order: dict[str, object]) -> dict[str, dict[str, int]]:
        carrier = self._carrier
        assert carrier is not None
        assert carrier.stdin is not None
        assert carrier.stdout is not None
        carrier.stdin.write(json.dumps(order) + "\n")
        carrier.stdin.flush()
        answer: dict[str, dict[str, int]] = json.loads(carrier.stdout.readline())
        return answer

    @staticmethod
    def _set_up(namespace: str, v4: str, v6: str) -> None:
        device = ("dev", namespace)
        _ip("link", "set", namespace, "netns", namespace)
        for command in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{v4}/24", *device),
            ("addr", "add", f"{v6}/64", *device, "nodad"),
            ("link", "set", namespace, "up", "mtu", "1500", "txqueuelen", "2000"),
        ):
            _ip("-n", namespace, *command)


def _enter(namespace: int) -> None:
    """Move this thread into a network namespace; ``os.setns`` came with Python 3.12."""
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str, check: bool = True) -> bool:
    """Run ``ip``; say whether it worked."""
    done = subprocess.run(["ip", *arguments], check=check, capture_output=True)
    return done.returncode == 0


def _open_device(name: str) -> int:
    """Make a TUN device and return its other end; it stays ours in any namespace."""
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(device, _TUNSETIFF, request)
    return device


class _Carrier:
    """Carries packets between two devices until its orders end."""

    def __init__(self, name: str, seed: int) -> None:
        client, server = _open_device(f"{name}c"), _open_device(f"{name}s")
        rng = Random(seed)
        self._ways = {"up": Way(Profile(), rng), "down": Way(Profile(), rng)}
        self._routes = {client: ("up", server), server: ("down", client)}
        self._shift = 0
        self._due: list[tuple[float, int, bytes, str, int]] = []
        self._order = itertools.count()

    def run(self) -> None:
        poll = select.epoll()
        orders = sys.stdin.fileno()
        for descriptor in (orders, *self._routes):
            poll.register(descriptor, select.EPOLLIN)
        while True:
            wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
            for descriptor, _ in poll.poll(wait_s):
                if descriptor != orders:
                    self._receive(descriptor)
                elif not self._obey(sys.stdin.readline()):
                    return
            self._deliver(time.monotonic())

    def _obey(self, line: str) -> bool:
        if not line:
            return False
        order = json.loads(line)
        for way, fields in zip(
            self._ways.values(), order.get("profiles", []), strict=False
        ):
            way.profile = msgspec.convert(fields, Profile)
        self._shift = order.get("shift", self._shift)
        answer = {name: asdict(way.counts) for name, way in self._ways.items()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        return True

    def _receive(self, device: int) -> None:
        name, target = self._routes[device]
        while True:
            try:
                packet = os.read(device, _MAX_PACKET)
            except BlockingIOError:
                return
            packet = with_ports_shifted(packet, self._shift, is_up=name == "up")
            for due_s, sent in self._ways[name].send(packet, time.monotonic()):
                heapq.heappush(self._due, (due_s, next(self._order), sent, name, target))

    def _deliver(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, _, packet, name, target = heapq.heappop(self._due)
            way = self._ways[name]
            way.num_queued -= 1
            try:
                os.write(target, packet)
            except OSError:  # the device is not up yet, or its queue is full
                way.counts.overflowed += 1
            else:
                way.counts.arrived += 1


def main(arguments: Sequence[str]) -> None:
    name, seed = arguments
    _Carrier(name, int(seed)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
