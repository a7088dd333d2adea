"""
PURE: what bad networks do to packets; chance and time are arguments.

``tests/network.py`` carries real packets by it, the simulations of ``tests/bench`` numbers.
"""

from dataclasses import dataclass, field
from random import Random

_UDP = 17


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
    lets_udp_to: tuple[int, ...] | None = None
    """Ports of the server that UDP over IPv4 may go to or come from; None means any."""
    spares_tcp: bool = False
    """Only UDP is lost."""


PROFILES = {
    "clean": Profile(),
    "loss1": Profile(loss=0.01),
    "loss5": Profile(loss=0.05),
    "loss10": Profile(loss=0.10),
    "loss20": Profile(loss=0.20),
    "udploss20": Profile(loss=0.20, spares_tcp=True),
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
    "no udp": Profile(lets_udp_to=()),
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
        is_blocked_here = profile.is_down or is_blocked(packet, profile.lets_udp_to)
        is_spared = profile.spares_tcp and not is_udp(packet)
        if is_blocked_here or (not is_spared and self._is_lost()):
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


def is_udp(packet: bytes) -> bool:
    """Say whether a packet is UDP, without options of IPv6 before it."""
    is_v6 = len(packet) >= 48 and packet[0] >> 4 == 6 and packet[6] == _UDP
    return is_v6 or is_udp_over_v4(packet)


def is_udp_over_v4(packet: bytes) -> bool:
    return len(packet) >= 28 and packet[0] >> 4 == 4 and packet[9] == _UDP


def is_blocked(packet: bytes, ports: tuple[int, ...] | None) -> bool:
    """Say whether a firewall that lets UDP through to these ports stops a packet."""
    if ports is None or not is_udp_over_v4(packet):
        return False
    named = (int.from_bytes(packet[at : at + 2], "big") for at in (20, 22))
    return not any(port in ports for port in named)


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
    if by == 0 or not is_udp_over_v4(packet):
        return packet
    at = 20 if is_up else 22
    port = int.from_bytes(packet[at : at + 2], "big") + (by if is_up else -by)
    changed = bytearray(packet)
    changed[at : at + 2] = (port & 0xFFFF).to_bytes(2, "big")
    changed[26:28] = b"\x00\x00"
    return bytes(changed)
