"""
Client secrets: short-lived keys that a backend gives to its pages and apps.

A secret opens sessions, any number until it expires, and nothing else; each of them
starts with the settings that were given when it was issued. A session outlives its
secret. Nothing is written down: a restart forgets all of them.
"""

import hashlib
import secrets
from dataclasses import dataclass

from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

PREFIX = "ek_"
"""agents-js refuses other keys in a browser."""


@dataclass(frozen=True, slots=True)
class Secret:
    expires_at: int
    """Unix seconds."""
    session: SessionPatch


class ClientSecrets:
    """The valid secrets, by digest: neither memory nor timing gives one away."""

    def __init__(self, max_secrets: int) -> None:
        self._max_secrets = max_secrets
        self._issued: dict[bytes, Secret] = {}

    def issue(self, session: SessionPatch, seconds: int, now: float) -> tuple[str, Secret]:
        """
        Return a new value and what it stands for. ``now`` is in Unix seconds.

        Raises:
            EventRefused: The bound is reached.
        """
        self._forget_expired(now)
        if len(self._issued) >= self._max_secrets:
            message = f"{self._max_secrets} client secrets are valid, the bound."
            raise EventRefused("rate_limit_exceeded", message)
        value = PREFIX + secrets.token_hex(24)
        secret = Secret(int(now) + seconds, session)
        self._issued[_digest(value)] = secret
        return value, secret

    def find(self, value: str | None, now: float) -> Secret | None:
        """Return what a presented key stands for, if it is a secret and still valid."""
        if value is None or not value.startswith(PREFIX):
            return None
        secret = self._issued.get(_digest(value))
        return secret if secret is not None and now < secret.expires_at else None

    def _forget_expired(self, now: float) -> None:
        self._issued = {
            digest: secret
            for digest, secret in self._issued.items()
            if now < secret.expires_at
        }


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
