"""
``GET /metrics``: how the service does, for Prometheus and what reads the same.

Counts since the process began, in its text format 0.0.4; of users only how many there are.
"""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from assistant.gateway import http
from assistant.gateway.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "phi_assistant_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number; a counter's name ends in ``_total``."""

    name: str
    value: float
    help: str

    @property
    def type(self) -> Literal["counter", "gauge"]:
        return "counter" if self.name.endswith("_total") else "gauge"

    def __str__(self) -> str:
        name = PREFIX + self.name
        value = int(self.value) if self.value == int(self.value) else self.value
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.type}\n{name} {value}\n"


def metrics_of(service: Service) -> list[Metric]:
    """Return what there is to tell."""
    load = service.engine.load
    total = load.total
    return [
        Metric("ready", service.is_ready, "1 when a turn would be answered now."),
        Metric("sessions", len(service.calls), "Sessions that are open."),
        Metric("requests", service.num_requests, "Chat completions under way."),
        Metric("slots", load.num_slots, "Sequences that the engine can answer at once."),
        Metric("answering", load.num_answering, "Turns that are being answered."),
        Metric("speculating", load.num_speculating, "Answers begun at a pause."),
        Metric("speculations_total", total.num_speculations, "Answers begun at a pause."),
        Metric(
            "speculations_confirmed_total",
            total.num_confirmed,
            "Of these, the ones that were given.",
        ),
        Metric(
            "won_seconds_total",
            total.won_s,
            "How much sooner first tokens came because of them.",
        ),
        Metric("tokens_read_total", total.num_read, "Tokens of prompts."),
        Metric(
            "tokens_read_early_total",
            total.num_early,
            "Of these, the ones read before the answer was asked for.",
        ),
        Metric(
            "tokens_read_again_total",
            total.num_reread,
            "Of these, the ones that had been read for an earlier answer.",
        ),
        Metric("tokens_written_total", total.num_written, "Tokens of replies."),
        Metric(
            "tokens_wasted_total",
            total.num_wasted,
            "Tokens read or written that no answer was built on.",
        ),
    ]


@http.guarded
async def metrics(request: Request) -> Response:
    """Answer with one line of each, and what it is."""
    service: Service = request.app.state.service
    text = "".join(map(str, metrics_of(service)))
    return Response(text, media_type=CONTENT_TYPE)
