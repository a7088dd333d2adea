"""
The instants of one turn, named once, in seconds on the session's clock.

``speech_end`` is where the sound ended, not when that was noticed; the difference to
``hard_end`` is the price of endpointing.
"""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Timeline:
    speech_end: float | None = None
    soft_end: float | None = None
    hard_end: float | None = None
    committed: float | None = None
    admitted: float | None = None
    first_token: float | None = None
    first_byte: float | None = None
    done: float | None = None

    def to_wire(self) -> dict[str, float | None]:
        """Return ``{"speech_end_ms": …}``; what did not happen is None."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            f"{name}_ms": None if value is None else round(value * 1000, 2)
            for name, value in values.items()
        }

    def __str__(self) -> str:
        """Return the gaps between neighbouring instants, for one log line."""
        shown: list[str] = []
        before: float | None = None
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None:
                continue
            if before is not None:
                shown.append(f"{f.name} +{(value - before) * 1000:.0f} ms")
            before = value
        return ", ".join(shown)
