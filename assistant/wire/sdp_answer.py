"""
The answer to an offered WebRTC session: receive its microphone and camera, send one voice.

Everything is bundled on one transport; what ``Offer`` does not hold open is declined.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.wire.sdp import Codec, Offer, Section

MAX_MESSAGE_BYTES = 262_144
"""Of the data channel, towards us."""


@dataclass(frozen=True, slots=True)
class Transport:
    """Our end of the one transport that everything is bundled on."""

    username: str
    password: str
    fingerprints: Sequence[tuple[str, str]]
    candidates: Sequence[str]
    """Each as it stands after ``a=candidate:``."""


@dataclass(frozen=True, slots=True)
class Voice:
    """The track that we send."""

    ssrc: int
    name: str


def write_answer(offer: Offer, transport: Transport, voice: Voice) -> str:
    """Answer an offer: receive its microphone and camera, send one voice."""
    answered = [
        s for kind in ("audio", "video", "application") if (s := _first(offer, kind))
    ]
    mids = [section.mid for section in offer.sections if section in answered]
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    lines += [f"a=group:BUNDLE {' '.join(mids)}", "a=msid-semantic: WMS *"]
    for section in offer.sections:
        if section not in answered:
            lines += [f"m={section.kind} 0 {section.protocol} {section.formats}"]
            lines += ["c=IN IP4 0.0.0.0", f"a=mid:{section.mid}", "a=inactive"]
            continue
        if section.kind == "application":
            body = ["a=sctp-port:5000", f"a=max-message-size:{MAX_MESSAGE_BYTES}"]
            formats = section.formats
        elif section.kind == "audio":
            codec = offer.audio()
            assert codec is not None, "an answered section has a codec"
            body, formats = _audio(section, codec, voice), str(codec.payload_type)
        else:
            codecs = offer.video()
            body = _video(section, codecs)
            formats = " ".join(str(codec.payload_type) for codec in codecs)
        lines += [f"m={section.kind} 9 {section.protocol} {formats}", "c=IN IP4 0.0.0.0"]
        lines += [f"a=mid:{section.mid}", *body]
        lines += [f"a=ice-ufrag:{transport.username}", f"a=ice-pwd:{transport.password}"]
        lines += [f"a=fingerprint:{name} {v}" for name, v in transport.fingerprints]
        lines += [f"a=setup:{offer.answered_setup}"]
        lines += [f"a=candidate:{candidate}" for candidate in transport.candidates]
        lines += ["a=end-of-candidates"]
    return "\r\n".join(lines) + "\r\n"


def _first(offer: Offer, kind: str) -> Section | None:
    section = offer.section(kind)
    if kind == "audio" and offer.audio() is None:
        return None
    if kind == "video" and not offer.video():
        return None
    return section


def _audio(section: Section, codec: Codec, voice: Voice) -> list[str]:
    number = codec.payload_type
    directions = {"sendonly": "recvonly", "recvonly": "sendonly"}
    direction = directions.get(section.direction, section.direction)
    body = [f"a={direction}", "a=rtcp-mux", f"a=rtpmap:{number} opus/48000/2"]
    # The peer adds redundancy only for a receiver that says it makes use of it.
    body += [f"a=fmtp:{number} minptime=10;useinbandfec=1"]
    body += [f"a=rtcp-fb:{number} nack"] if "nack" in codec.feedback else []
    if direction in ("sendrecv", "sendonly"):
        body += [
            f"a=msid:{voice.name} {voice.name}",
            f"a=ssrc:{voice.ssrc} cname:{voice.name}",
        ]
    return body


def _video(section: Section, codecs: Sequence[Codec]) -> list[str]:
    direction = "recvonly" if section.direction in ("sendrecv", "sendonly") else "inactive"
    body = [f"a={direction}", "a=rtcp-mux"]
    for codec in codecs:
        number = codec.payload_type
        body.append(f"a=rtpmap:{number} {codec.name.upper()}/{codec.clock_hz}")
        if codec.parameters:
            body.append(f"a=fmtp:{number} {codec.parameters}")
        ours = ("nack", "nack pli", "goog-remb")
        body += [f"a=rtcp-fb:{number} {name}" for name in ours if name in codec.feedback]
    return body
