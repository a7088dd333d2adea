"""
STUN and TURN servers for clients, with credentials that soon expire.

The form is that of the TURN REST API, which coturn knows as ``use-auth-secret``: the user
name is an expiry time, the password its HMAC with a secret that only the two servers know.
"""

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any

from assistant.config import RtcConfig


def ice_servers(rtc: RtcConfig, secret: str, now: float | None = None) -> dict[str, Any]:
    """
    Return what a page gives to its ``RTCPeerConnection``, and until when it is good.

    Args:
        secret: Shared with the TURN server; without it TURN is named without credentials.
        now: Unix seconds; the clock of the TURN server decides.
    """
    expires_at = int(time.time() if now is None else now) + rtc.turn_credential_s
    servers: list[dict[str, Any]] = []
    if rtc.stun_urls:
        servers.append({"urls": list(rtc.stun_urls)})
    if rtc.turn_urls:
        entry: dict[str, Any] = {"urls": list(rtc.turn_urls)}
        if secret:
            entry |= credentials(secret, expires_at, secrets.token_hex(4))
        servers.append(entry)
    return {"ice_servers": servers, "expires_at": expires_at}


def credentials(secret: str, expires_at: int, user: str) -> dict[str, str]:
    """Return a user name and its password."""
    name = f"{expires_at}:{user}"
    digest = hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()
    return {"username": name, "credential": base64.b64encode(digest).decode()}
