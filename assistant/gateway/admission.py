"""Who may open a session, over whatever transport: key or secret, origin, room."""

import time

from starlette.datastructures import Headers

from assistant.gateway import access
from assistant.gateway.client_secrets import Secret
from assistant.gateway.service import Service
from assistant.wire.refusals import EventRefused


def admit(headers: Headers, service: Service, *, is_new: bool = True) -> Secret | None:
    """
    Return the client secret that was shown, None for a full key.

    Args:
        is_new: False for who joins a session that is open already.

    Raises:
        EventRefused: This client may not come in, or there is no room.
    """
    server = service.config.server
    if not access.is_allowed_origin(headers, server.allowed_origins, server.host):
        raise EventRefused("origin_not_allowed", "This origin may not connect.")
    key = access.presented_key(headers)
    secret = service.secrets.find(key, time.time())
    if secret is None and not access.is_authorised(key, service.keys):
        raise EventRefused("invalid_api_key", "The API key is not valid.")
    if not is_new:
        return secret
    if service.is_draining:
        raise EventRefused("server_shutting_down", "The server is shutting down.")
    if len(service.calls) >= server.max_sessions:
        message = f"{server.max_sessions} sessions are open, the bound."
        raise EventRefused("session_limit_reached", message)
    return secret
