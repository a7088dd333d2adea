"""
Messages between a gateway and the engine, and their framing on the Unix socket.

Knows bytes and messages; knows no socket, no tensor and no conversation. A frame is a
4-byte little-endian length followed by one msgpack document.

A *sequence* is what the model has read for one conversation: append-only, with marks.
The gateway numbers sequences, marks and generations; the link is ordered, so no verb
needs an answer before the next one may be sent.

=========  ==========================================================================
Open       reserve a sequence under one adapter
Append     add parts at the end; each is encoded and prefilled as it arrives
Mark       remember the present end under a number
Rollback   cut the sequence back to a mark (marks after it are forgotten)
Generate   sample a reply from the present end; its tokens become part of the sequence
Promote    let a speculative generation count like any other from now on
Cancel     stop a generation and keep only its first ``num_kept`` tokens
Close      free the sequence
=========  ==========================================================================

Every Append is answered once and in order, by Appended or by Failed without a generation
(one that a Rollback cuts off unread too, in its place); every Generate once, by Finished
or by Failed with its number, also when Rollback or Close ends it.

The stop token of a reply never enters the sequence; the gateway appends ``<|end|>``.
"""

import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

from assistant.errors import ProtocolError

Adapter = Literal["none", "speech", "vision"]
"""Which LoRA is merged into the decoder; fixed for the life of a sequence."""

Control = Literal["system", "user", "assistant", "end", "tool", "tool_end", "tool_call",
                  "tool_call_end", "tool_response"]  # fmt: skip
"""A control token by name. User text can never become one."""

MAX_MESSAGE_BYTES = 128 * 2**20  # 30 minutes of float32 audio at 16 kHz are 115 MB

# How a recording can be cut without a difference: the encoder's windows of 500 tokens, the
# token before them that the first one is computed from, and the rest of the last mel frame.
AUDIO_WINDOW_SAMPLES = 640_000
AUDIO_CONTEXT_SAMPLES = 1280
AUDIO_OVERHANG_SAMPLES = 240
AUDIO_HOP_SAMPLES = 160
_LENGTH = struct.Struct("<I")


class Message(msgspec.Struct, tag=True, array_like=True):
    """Base of everything that crosses the link."""


# --- parts of a prompt -----------------------------------------------------------------


class TextPart(Message):
    """Plain text. Control tokens written in it stay plain text."""

    text: str


class ControlPart(Message):
    """One control token."""

    token: Control


class TokensPart(Message):
    """Token ids as an earlier generation produced them."""

    ids: list[int]


class ImagePart(Message):
    """One encoded picture (JPEG, PNG or WebP, as its sender sent it)."""

    data: bytes
    max_crops: int
    """Bound of the dynamic-HD grid; 1 for live camera frames."""


class AudioPart(Message):
    """One clip: float32 little-endian mono samples at 16 kHz in [-1, 1]."""

    samples: bytes
    is_continuation: bool = False
    """It goes on where the part before it ends, and both read as one recording. That part
    holds ``AUDIO_WINDOW_SAMPLES`` of its own and ``AUDIO_OVERHANG_SAMPLES`` of this one;
    this one begins with the last ``AUDIO_CONTEXT_SAMPLES`` of that one's own."""


Part = TextPart | ControlPart | TokensPart | ImagePart | AudioPart


class Function(Message):
    """A function that a reply may call."""

    name: str
    parameters: str
    """JSON schema of its arguments, as JSON; empty when it has none."""


class Constraint(Message, kw_only=True):
    """
    The grammar of the calls in a reply: ``<|tool_call|>[{"name": …, "arguments": …}, …]``.

    Or, with a ``schema``, of a reply that is one JSON value and nothing else; with
    functions too, its first token decides which of the two it is. Every call is of one of
    these functions, with arguments that are valid JSON for its schema, and the reply ends
    behind them. A reply that must not be a call is free until it begins one.
    """

    functions: list[Function]
    is_required: bool
    """The reply is a call, or the value, from its first token on."""
    max_calls: int = 1
    schema: str = ""
    """JSON schema of the whole reply, as JSON."""


class Sampling(Message, kw_only=True):
    """How a reply is drawn from the logits."""

    max_tokens: int
    temperature: float = 0.0
    """0 takes the most probable token."""
    top_p: float = 1.0
    seed: int = 0
    constraint: Constraint | None = None


# --- gateway to engine -----------------------------------------------------------------


class Open(Message):
    sequence: int
    adapter: Adapter
    is_background: bool = False
    """Nobody waits for what is read and written here (a transcript, say): everything else
    goes first, if not for ever, and nobody's row is taken for it."""


class Append(Message):
    sequence: int
    parts: list[Part]


class Mark(Message):
    sequence: int
    mark: int


class Rollback(Message):
    sequence: int
    mark: int


class Generate(Message):
    sequence: int
    generation: int
    """Unique per sequence; every answer repeats it."""
    sampling: Sampling
    is_speculative: bool = False
    """
    Nobody waits for it yet: it is computed only while nothing else can be, and takes
    nobody's row. Its tokens are sent as they come; whoever asked holds them back.
    """


class Promote(Message):
    """
    The turn that a speculative generation answers is over: somebody waits for it now.

    Nothing is computed again. Has no answer, and no effect on a generation that has ended
    or was not speculative.
    """

    sequence: int
    generation: int


class Cancel(Message):
    sequence: int
    generation: int
    num_kept: int
    """
    Tokens of the reply that stay in the sequence: those the gateway has seen.

    Also shortens a reply whose Finished crosses this on the link, unless something was
    appended since.
    """


class Close(Message):
    sequence: int


class Ping(Message):
    nonce: int


Order = Open | Append | Mark | Rollback | Generate | Promote | Cancel | Close | Ping

# --- engine to gateway -----------------------------------------------------------------


class Ready(Message, kw_only=True):
    """Sent once per connection, when a turn would be answered without further loading."""

    model: str
    device: str
    dtype: str
    max_sequence_tokens: int
    num_slots: int
    is_meaningless: bool
    """The weights are random: replies show that the path works and nothing else."""
    fallbacks: list[str] = []
    """What would make it faster and could not be used, each with its reason."""


class Appended(Message, kw_only=True):
    """An ``Append`` has been prefilled."""

    sequence: int
    num_tokens: int
    """Length of the sequence now."""
    num_text: int
    num_image: int
    num_audio: int
    """Tokens that this ``Append`` added, by kind."""


class Admitted(Message):
    """A generation left the queue; its first token is the next thing computed."""

    sequence: int
    generation: int


class Token(Message):
    """One step of a reply. ``text`` may be empty while a character is incomplete."""

    sequence: int
    generation: int
    ids: list[int]
    text: str
    written_at: float = 0.0
    """When it left the engine, on the clock that all processes of a machine share
    (``time.monotonic``); 0 when nobody stamped it."""


class Finished(Message, kw_only=True):
    """The end of a generation; sent exactly once unless ``Failed`` was."""

    sequence: int
    generation: int
    reason: Literal["stop", "length", "cancelled"]
    text: str
    """What detokenisation still held back; append it to the reply."""
    num_prompt: int
    num_cached: int
    """Of the prompt tokens, those that needed no new prefill since the last reply."""
    num_output: int


class Failed(Message, kw_only=True):
    """
    A request could not be served.

    With a generation: that generation is over. Without: an ``Append`` was refused as a
    whole; the sequence refuses everything but ``Rollback`` and ``Close`` from then on.
    """

    sequence: int
    generation: int | None
    code: str
    message: str


class Pong(Message):
    nonce: int


Report = Ready | Appended | Admitted | Token | Finished | Failed | Pong

_encoder = msgspec.msgpack.Encoder()
_order_decoder: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_report_decoder: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def encode(message: Order | Report) -> bytes:
    """Return one frame, length included."""
    payload = _encoder.encode(message)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"link message has {len(payload)} bytes, the bound is {MAX_MESSAGE_BYTES}"
        )
    return _LENGTH.pack(len(payload)) + payload


def decode_order(payload: bytes | bytearray | memoryview) -> Order:
    """Decode what a gateway sent (one frame without its length)."""
    try:
        return _order_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not an order: {error}") from error


def decode_report(payload: bytes | bytearray | memoryview) -> Report:
    """Decode what the engine sent (one frame without its length)."""
    try:
        return _report_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a report: {error}") from error


class Deframer:
    """Cut a byte stream into the payloads of its frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they arrived; yield each payload that is complete."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, start)
                if length > MAX_MESSAGE_BYTES:
                    raise ProtocolError(
                        f"frame announces {length} bytes, the bound is {MAX_MESSAGE_BYTES}"
                    )
                if len(buffer) - start - _LENGTH.size < length:
                    break
                start += _LENGTH.size
                payload = bytes(memoryview(buffer)[start : start + length])
                start += length
                yield payload
        finally:
            del buffer[:start]
