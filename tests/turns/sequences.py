"""A reference engine of a few lines: it carries out orders and remembers what was read."""

from collections import deque
from dataclasses import dataclass, field

from assistant.wire import link

Atom = tuple[str, object]
"""One thing the model reads; the tokens of a reply are one atom each."""

COSTS = {"control": 1, "text": 3, "token": 1, "image": 7, "audio": 5}


def atoms(parts: list[link.Part]) -> list[Atom]:
    """Return what parts amount to, however they were cut into appends."""
    found: list[Atom] = []
    for part in parts:
        match part:
            case link.ControlPart(token):
                found.append(("control", token))
            case link.TextPart(text):
                found.append(("text", text))
            case link.TokensPart(ids):
                found += [("token", token_id) for token_id in ids]
            case link.ImagePart(data, max_crops):
                found.append(("image", (data, max_crops)))
            case link.AudioPart(samples):
                found.append(("audio", samples))
    return found


def cost(read: list[Atom]) -> int:
    return sum(COSTS[kind] for kind, _ in read)


@dataclass
class Sequence:
    adapter: link.Adapter
    read: list[Atom] = field(default_factory=list)
    marks: dict[int, int] = field(default_factory=dict)
    generation: int | None = None
    reply: tuple[int, int] | None = None
    """Generation and start of the latest reply; None once something was appended."""
    is_failed: bool = False
    is_speculative: bool = False
    """The reply under way, or the one that ended, was not promoted yet."""


class ReferenceEngine:
    """
    Carry out orders at once; let the answers wait in ``reports``, in order.

    Strict where a mirror must not rely on luck: a sequence that is not open, a mark that
    is not set and a number that is used twice are AssertionErrors.
    """

    def __init__(self, max_tokens: int = 10**9) -> None:
        self.sequences: dict[int, Sequence] = {}
        self.reports: deque[link.Report] = deque()
        self.num_read = 0
        """Atoms appended since the beginning; what a re-read costs shows here."""
        self.asked: list[Atom] | None = None
        """What stands before the latest reply that somebody waits for, if any."""
        self._max_tokens = max_tokens
        self._last_number = 0

    def receive(self, order: link.Order) -> None:
        if isinstance(order, link.Open):
            assert order.sequence > self._last_number, "a number was used twice"
            self._last_number = order.sequence
            self.sequences[order.sequence] = Sequence(order.adapter)
            return
        assert not isinstance(order, link.Ping)
        sequence = self.sequences[order.sequence]
        match order:
            case link.Append(number, parts):
                self._append(number, sequence, atoms(parts))
            case link.Mark(_, mark):
                sequence.marks[mark] = len(sequence.read)
            case link.Rollback(_, mark):
                sequence.generation = sequence.reply = None
                sequence.is_failed = False
                self._cut(sequence, sequence.marks[mark])
            case link.Generate(number, generation):
                self._generate(number, sequence, order)
            case link.Promote(_, generation):
                self._promote(sequence, generation)
            case link.Cancel(_, generation, num_kept):
                # Also when the reply has ended and Finished is still under way.
                if sequence.reply is not None and sequence.reply[0] == generation:
                    sequence.generation = None
                    self._cut(sequence, sequence.reply[1] + num_kept)
            case link.Close(number):
                del self.sequences[number]

    def write(self, token_id: int, text: str) -> None:
        """Let the reply under way, if there is one, grow by a token."""
        for number in self.sequences:
            self.write_to(number, token_id, text)

    def write_to(self, number: int, token_id: int, text: str) -> None:
        sequence = self.sequences[number]
        if sequence.generation is not None:
            sequence.read.append(("token", token_id))
            report = link.Token(number, sequence.generation, [token_id], text)
            self.reports.append(report)

    def finish(self, reason: str, code: str = "") -> None:
        """End the reply under way, if there is one."""
        for number in self.sequences:
            self.finish_of(number, reason, code)

    def finish_of(self, number: int, reason: str = "stop", code: str = "") -> None:
        sequence = self.sequences[number]
        if sequence.generation is None:
            return
        assert sequence.reply is not None
        start = sequence.reply[1]
        if code:
            failed = _failed(number, sequence.generation, code)
            self.reports.append(failed)
        else:
            self.reports.append(
                link.Finished(
                    sequence=number,
                    generation=sequence.generation,
                    reason="length" if reason == "length" else "stop",
                    text="",
                    num_prompt=cost(sequence.read[:start]),
                    num_cached=0,
                    num_output=len(sequence.read) - start,
                )
            )
        sequence.generation = None

    def die(self) -> None:
        self.sequences.clear()
        self.reports.clear()

    def _append(self, number: int, sequence: Sequence, added: list[Atom]) -> None:
        assert sequence.generation is None, "an append in the middle of a reply"
        if sequence.is_failed or cost(sequence.read + added) > self._max_tokens:
            sequence.is_failed = True
            self.reports.append(_failed(number, None, "context_length_exceeded"))
            return
        sequence.read += added
        sequence.reply = None
        self.num_read += len(added)
        by_kind = {
            kind: cost([atom for atom in added if atom[0] == kind])
            for kind in ("image", "audio")
        }
        self.reports.append(
            link.Appended(
                sequence=number,
                num_tokens=cost(sequence.read),
                num_text=cost(added) - by_kind["image"] - by_kind["audio"],
                num_image=by_kind["image"],
                num_audio=by_kind["audio"],
            )
        )

    def _promote(self, sequence: Sequence, generation: int) -> None:
        # It may have ended: its number is that of the latest reply all the same.
        assert sequence.reply is not None
        assert sequence.reply[0] == generation
        assert sequence.is_speculative, "promoted twice"
        sequence.is_speculative = False
        self.asked = sequence.read[: sequence.reply[1]]

    def _generate(self, number: int, sequence: Sequence, order: link.Generate) -> None:
        generation = order.generation
        assert sequence.generation is None, "two replies at once"
        if sequence.is_failed:
            self.reports.append(_failed(number, generation, "context_length_exceeded"))
            return
        sequence.generation = generation
        sequence.reply = (generation, len(sequence.read))
        sequence.is_speculative = order.is_speculative
        if not order.is_speculative:
            self.asked = list(sequence.read)
        self.reports.append(link.Admitted(number, generation))

    def _cut(self, sequence: Sequence, end: int) -> None:
        assert end <= len(sequence.read), "a cut beyond the end"
        del sequence.read[end:]
        sequence.marks = {n: at for n, at in sequence.marks.items() if at <= end}


def _failed(sequence: int, generation: int | None, code: str) -> link.Failed:
    return link.Failed(sequence=sequence, generation=generation, code=code, message=code)
