"""
The session description that a WebRTC client offers (RFC 8866, RFC 8829).

Knows the part that a service needs which is offered one microphone, one camera and one
data channel in one bundle; whatever else an offer holds is closed to the answer, or not
read. What cannot be answered raises ``EventRefused`` with the code ``invalid_sdp``.

Candidates of an offer are never read: nobody sends to an address that a client names.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from assistant.wire.refusals import EventRefused

MAX_SDP_BYTES = 64 * 1024
MAX_SECTIONS = 16
DEFAULT_MAX_MESSAGE_BYTES = 65_536
"""What a peer takes in one message that does not say more (RFC 8841 section 6.1)."""

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_ANSWERED_SETUP = {"actpass": "active", "active": "passive", "passive": "active"}
_UFRAG = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")  # "-", "_" and "=": seen in the field
_PASSWORD = re.compile(r"[A-Za-z0-9+/=_-]{22,256}")
_MID = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,32}")
_DIGEST = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){19,63}")
_DIGESTS = ("sha-256", "sha-384", "sha-512")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of an offered section."""

    payload_type: int
    name: str
    """In lower case: ``opus``, ``vp8``."""
    clock_hz: int
    channels: int
    parameters: str = ""
    """Of its ``fmtp`` line."""
    feedback: frozenset[str] = frozenset()
    """Of its ``rtcp-fb`` lines: ``nack``, ``nack pli``, ``goog-remb``, …"""


@dataclass(frozen=True, slots=True)
class Section:
    """One ``m=`` line and what follows it."""

    kind: str
    protocol: str
    formats: str
    mid: str
    direction: str
    codecs: tuple[Codec, ...]
    is_open: bool
    """False when its port is 0, has no rtcp-mux, or it is not in the bundle; a section that
    is only there in the bundle needs neither."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an answer depends on."""

    sections: tuple[Section, ...]
    username: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    sctp_port: int
    max_message_bytes: int
    """0: messages of any size."""

    @property
    def answered_setup(self) -> str:
        """``active``: our side starts the DTLS handshake."""
        return _ANSWERED_SETUP[self.setup]

    def section(self, kind: str) -> Section | None:
        """Return the open section of a kind that is answered: the first."""
        return next((s for s in self.sections if s.kind == kind and s.is_open), None)

    def audio(self) -> Codec | None:
        """Return how the peer would send its microphone."""
        return self._codec("audio", ("opus",))

    def video(self) -> list[Codec]:
        """Return how the peer may send its camera, in its own order of preference."""
        section = self.section("video")
        return [] if section is None else [c for c in section.codecs if _is_taken(c)]

    def _codec(self, kind: str, names: Iterable[str]) -> Codec | None:
        section = self.section(kind)
        codecs = section.codecs if section else ()
        return next((codec for codec in codecs if codec.name in names), None)

    @property
    def has_channel(self) -> bool:
        return self.section("application") is not None


def parse_offer(text: str) -> Offer:
    """
    Read an offer.

    Raises:
        EventRefused: ``invalid_sdp``, in one line why.
    """
    if len(text) > MAX_SDP_BYTES:
        raise _refused(f"{len(text)} characters, the bound is {MAX_SDP_BYTES}")
    head, *blocks = _blocks(text)
    if not head or head[0] != ("v", "0"):
        raise _refused("it does not begin with v=0")
    if not blocks:
        raise _refused("it has no media section")
    if len(blocks) > MAX_SECTIONS:
        raise _refused(f"{len(blocks)} media sections, the bound is {MAX_SECTIONS}")
    if _attribute(head, "ice-lite") is not None:
        raise _refused("a peer that does not check connectivity cannot be reached")
    bundle = _bundle(head)
    sections = [_section(block, head, n, bundle) for n, block in enumerate(blocks)]
    is_open = [section.is_open for section in sections]
    if not any(is_open):
        raise _refused("no media section can be answered")
    if bundle is None:
        # Without a bundle each section has a transport of its own; we have one.
        first = is_open.index(True)
        sections = [replace(s, is_open=n == first) for n, s in enumerate(sections)]
    block = blocks[[section.is_open for section in sections].index(True)]
    channel = next(
        (b for b, s in zip(blocks, sections, strict=True) if s.kind == "application"), []
    )
    offer = Offer(
        sections=tuple(sections),
        username=_required(block, head, "ice-ufrag", _UFRAG),
        password=_required(block, head, "ice-pwd", _PASSWORD),
        fingerprints=_fingerprints(block, head),
        setup=_setup(block, head),
        sctp_port=_number(channel, "sctp-port", 5000, 65_535),
        max_message_bytes=_number(
            channel, "max-message-size", DEFAULT_MAX_MESSAGE_BYTES, 2**31
        ),
    )
    if offer.audio() is None and not offer.video() and not offer.has_channel:
        raise _refused("it has no Opus, no VP8 or H264, and no data channel")
    return offer


def fragment_username(text: str) -> str:
    """
    Return whose candidates a fragment of an offer brings (RFC 8840).

    Raises:
        EventRefused: ``invalid_sdp``, in one line why.
    """
    if len(text) > MAX_SDP_BYTES:
        raise _refused(f"{len(text)} characters, the bound is {MAX_SDP_BYTES}")
    names = {name for block in _blocks(text) for name in _attributes(block, "ice-ufrag")}
    if len(names) != 1 or not _UFRAG.fullmatch(name := names.pop()):
        raise _refused("a=ice-ufrag is missing, misshapen or not one")
    return name


def _is_taken(codec: Codec) -> bool:
    if codec.clock_hz != 90_000:
        return False
    # Mode 1 is what browsers send; mode 0 cannot carry a key frame of a camera.
    return codec.name == "vp8" or (
        codec.name == "h264" and "packetization-mode=1" in codec.parameters
    )


_Block = list[tuple[str, str]]
"""Lines of one part, as (type, value)."""


def _blocks(text: str) -> list[_Block]:
    """Return the lines before the first ``m=`` line, then those of each section."""
    blocks: list[_Block] = [[]]
    for line in text.splitlines():
        if not line:
            continue
        kind, equals, value = line.partition("=")
        if len(kind) != 1 or not equals:
            raise _refused("a line is not of the form x=value")
        if kind == "m":
            blocks.append([])
        blocks[-1].append((kind, value.strip()))
    return blocks


def _attributes(block: _Block, name: str) -> Iterator[str]:
    for kind, value in block:
        if kind == "a":
            found, _, rest = value.partition(":")
            if found == name:
                yield rest


def _attribute(block: _Block, name: str) -> str | None:
    return next(_attributes(block, name), None)


def _required(block: _Block, head: _Block, name: str, shape: re.Pattern[str]) -> str:
    value = _attribute(block, name) or _attribute(head, name)
    if value is None or not shape.fullmatch(value):
        raise _refused(f"a={name} is missing or misshapen")
    return value


def _setup(block: _Block, head: _Block) -> str:
    value = _attribute(block, "setup") or _attribute(head, "setup")
    if value not in _ANSWERED_SETUP:
        raise _refused("a=setup is missing or misshapen")
    return value


def _fingerprints(block: _Block, head: _Block) -> tuple[tuple[str, str], ...]:
    found = []
    for line in (*_attributes(block, "fingerprint"), *_attributes(head, "fingerprint")):
        name, _, value = line.partition(" ")
        if name.lower() in _DIGESTS and _DIGEST.fullmatch(value.upper()):
            found.append((name.lower(), value.upper()))
    if not found:
        raise _refused("it has no fingerprint of SHA-256 or longer")
    return tuple(found)


def _bundle(head: _Block) -> list[str] | None:
    for group in _attributes(head, "group"):
        semantics, *mids = group.split()
        if semantics == "BUNDLE":
            return mids
    return None


def _section(block: _Block, head: _Block, index: int, bundle: list[str] | None) -> Section:
    parts = block[0][1].split(" ", 3)
    if len(parts) < 4 or not _NAME.fullmatch(parts[0]):
        raise _refused("an m= line is misshapen")
    kind, port, protocol, formats = parts
    mid = _attribute(block, "mid") or str(index)
    if not _MID.fullmatch(mid):
        raise _refused("a=mid is misshapen")
    is_media = kind in ("audio", "video")
    is_bundled = bundle is not None and mid in bundle
    # Has no port of its own, and says nothing of the transport (RFC 8829 section 5.2.1).
    is_guest = is_bundled and _attribute(block, "bundle-only") is not None
    is_open = is_guest or (port != "0" and (bundle is None or is_bundled))
    if is_media:
        is_open = is_open and (is_guest or _attribute(block, "rtcp-mux") is not None)
    elif kind != "application" or formats != "webrtc-datachannel":
        is_open = False
    said = [name for name in DIRECTIONS if _attribute(block, name) is not None]
    said += [name for name in DIRECTIONS if _attribute(head, name) is not None]
    return Section(
        kind=kind,
        protocol=protocol,
        formats=formats,
        mid=mid,
        direction=said[0] if said else "sendrecv",
        codecs=tuple(_codecs(block, formats)) if is_media else (),
        is_open=is_open,
    )


def _codecs(block: _Block, formats: str) -> Iterator[Codec]:
    """Yield the codecs of a section in the order of its ``m=`` line."""
    for word in formats.split():
        number = _integer(word, 127)
        prefix = f"{word} "
        for line in _attributes(block, "rtpmap"):
            if number is None or not line.startswith(prefix):
                continue
            name, *numbers = line.removeprefix(prefix).split("/")
            clock = _integer(numbers[0], 10**6) if numbers else None
            channels = _integer(numbers[1], 8) if len(numbers) > 1 else 1
            if clock is not None and channels is not None and _NAME.fullmatch(name):
                yield Codec(
                    number,
                    name.lower(),
                    clock,
                    channels,
                    _parameters(block, prefix),
                    _feedback(block, prefix),
                )
            break


def _parameters(block: _Block, prefix: str) -> str:
    lines = (line for line in _attributes(block, "fmtp") if line.startswith(prefix))
    text = next(lines, "").removeprefix(prefix)
    return text if len(text) <= 1000 and text.isascii() and text.isprintable() else ""


def _feedback(block: _Block, prefix: str) -> frozenset[str]:
    lines = list(_attributes(block, "rtcp-fb"))
    return frozenset(
        line.partition(" ")[2] for line in lines if line.startswith((prefix, "* "))
    )


def _number(block: _Block, name: str, default: int, highest: int) -> int:
    text = _attribute(block, name)
    value = default if text is None else _integer(text, highest)
    if value is None:
        raise _refused(f"a={name} is misshapen")
    return value


def _integer(text: str, highest: int) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return None
    value = int(text)
    return value if value <= highest else None


def _refused(reason: str) -> EventRefused:
    return EventRefused("invalid_sdp", f"The offer cannot be answered: {reason}.", "sdp")
