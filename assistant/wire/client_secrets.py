"""Requests for client secrets as they stand on the wire."""

from typing import Literal

import msgspec

from assistant.wire import refusals
from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

DEFAULT_S = 600
SECONDS_RANGE = (10, 7200)


class ExpiresAfter(msgspec.Struct):
    anchor: Literal["created_at"] | None = "created_at"
    seconds: int | None = DEFAULT_S


class SecretRequest(msgspec.Struct):
    expires_after: ExpiresAfter | None = None
    session: SessionPatch | None = None

    @property
    def seconds(self) -> int:
        """How long the secret is to be valid."""
        given = self.expires_after.seconds if self.expires_after else None
        return DEFAULT_S if given is None else given


_decoder: msgspec.json.Decoder[SecretRequest] = msgspec.json.Decoder(SecretRequest)


def decode(body: bytes) -> SecretRequest:
    """
    Read the body of a request; an empty one asks for the defaults.

    Raises:
        EventRefused: It is not JSON, or a value is wrong or out of its range.
    """
    try:
        request = _decoder.decode(body) if body.strip() else SecretRequest()
    except msgspec.ValidationError as error:
        raise refusals.misshapen(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise EventRefused(
            "invalid_json", "The body of the request could not be parsed as JSON."
        ) from None
    refusals.check_range("expires_after.seconds", request.seconds, *SECONDS_RANGE)
    return request
