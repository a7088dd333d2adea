"""
A bad network between two namespaces of this machine, for tests of whole calls.

    with ImpairedNetwork("loss10") as network:
        subprocess.Popen([*network.at_server, sys.executable, "-m", "assistant", ...])
        subprocess.run([*network.at_client, ...])      # the server is network.SERVER
        network.set("car")
        network.counts()["up"]["lost"]

Two network namespaces are joined by two TUN devices; a process of its own holds them and
carries every IP packet from one to the other, or not. The kernel's own impairment (netem)
is not needed, only the right to make namespaces and ``/dev/net/tun``: ``why_not()`` says
what is missing, for tests to skip with.

``up`` is from the client to the server. What happens to a packet is decided by ``Way``,
which is pure: chance and time are arguments.
"""

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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Self

import msgspec

PROJECT = Path(__file__).parent.parent
TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_UDP = 17
_MAX_PACKET = 65_535
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Profile:
    """What one direction does to packets."""

    loss: float = 0.0
    """Share that is lost, each by itself."""
    burst: tuple[float, float, float] | None = None
    """
    Losses in a row (Gilbert and Elliott): the chance to fall into the bad state, the
    chance to leave it, and the share lost in it.
    """
    delay_ms: tuple[float, float] = (0.0, 0.0)
    """Least and most; even in between."""
    keeps_order: bool = True
    """A delayed packet delays those behind it, as on most links."""
    overtakes: float = 0.0
    """Share that is not delayed at all."""
    doubled: float = 0.0
    damaged: float = 0.0
    """Share with one bit turned over, behind the headers."""
    rate_kbit_s: float | None = None
    queue: int = 100
    """Packets that wait for the rate or the delay; what comes then is lost."""
    is_down: bool = False


PROFILES = {
    "clean": Profile(),
    "loss1": Profile(loss=0.01),
    "loss5": Profile(loss=0.05),
    "loss10": Profile(loss=0.10),
    "loss20": Profile(loss=0.20),
    "loss10jitter60": Profile(loss=0.10, delay_ms=(0, 60), keeps_order=False),
    "loss10rtt80": Profile(loss=0.10, delay_ms=(30, 50)),
    "wifi": Profile(loss=0.01, delay_ms=(0, 20), overtakes=0.01),
    "lte": Profile(loss=0.01, delay_ms=(15, 55), rate_kbit_s=12_000, queue=200),
    "3g": Profile(loss=0.02, delay_ms=(35, 115), rate_kbit_s=1_500),
    "car": Profile(
        burst=(0.02, 0.3, 0.6), delay_ms=(20, 100), rate_kbit_s=3_000, queue=150
    ),
    "rtt300": Profile(delay_ms=(150, 150), queue=2_000),
    "down": Profile(is_down=True),
}


@dataclass(slots=True)
class Counts:
    """What became of the packets of one direction."""

    sent: int = 0
    arrived: int = 0
    lost: int = 0
    overflowed: int = 0
    doubled: int = 0
    damaged: int = 0


@dataclass(slots=True)
class Way:
    """One direction: decides what becomes of each packet."""

    profile: Profile
    rng: Random
    counts: Counts = field(default_factory=Counts)
    num_queued: int = 0
    """Packets on their way; whoever delivers one counts it down."""
    _is_bad: bool = False
    _rate_free_s: float = 0.0
    _last_due_s: float = 0.0

    def send(self, packet: bytes, now: float) -> list[tuple[float, bytes]]:
        """Return when what arrives at the other end, which may be nothing."""
        self.counts.sent += 1
        profile, rng = self.profile, self.rng
        if profile.is_down or self._is_lost():
            self.counts.lost += 1
            return []
        if self.num_queued >= profile.queue:
            self.counts.overflowed += 1
            return []
        due_s = now
        if profile.rate_kbit_s is not None:
            takes_s = len(packet) * 8 / (profile.rate_kbit_s * 1000)
            due_s = self._rate_free_s = max(now, self._rate_free_s) + takes_s
        if rng.random() >= profile.overtakes:
            due_s += rng.uniform(*profile.delay_ms) / 1000
            if profile.keeps_order:
                due_s = self._last_due_s = max(due_s, self._last_due_s)
        if rng.random() < profile.damaged:
            packet = damaged(packet, rng)
            self.counts.damaged += 1
        copies = 1
        if rng.random() < profile.doubled:
            copies = 2
            self.counts.doubled += 1
        self.num_queued += copies
        return [(due_s, packet)] * copies

    def _is_lost(self) -> bool:
        profile, rng = self.profile, self.rng
        if profile.burst is not None:
            falls, leaves, share = profile.burst
            changes = rng.random() < (leaves if self._is_bad else falls)
            self._is_bad ^= changes
            if self._is_bad and rng.random() < share:
                return True
        return rng.random() < profile.loss


def damaged(packet: bytes, rng: Random) -> bytes:
    """Turn over one bit of an IPv4 packet's payload, unseen by UDP's checksum."""
    if len(packet) <= 28 or packet[0] >> 4 != 4:
        return packet
    changed = bytearray(packet)
    changed[rng.randrange(28, len(packet))] ^= 1 << rng.randrange(8)
    if packet[9] == _UDP:
        changed[26:28] = b"\x00\x00"  # no checksum (RFC 768)
    return bytes(changed)


def with_ports_shifted(packet: bytes, by: int, *, is_up: bool) -> bytes:
    """Shift the client's port of an IPv4 UDP packet, as another NAT would."""
    if by == 0 or len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != _UDP:
        return packet
    at = 20 if is_up else 22
    port = int.from_bytes(packet[at : at + 2], "big") + (by if is_up else -by)
    changed = bytearray(packet)
    changed[at : at + 2] = (port & 0xFFFF).to_bytes(2, "big")
    changed[26:28] = b"\x00\x00"
    return bytes(changed)


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
