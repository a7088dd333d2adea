import json
from typing import Any

import pytest

from assistant.gateway import http


def told(code: str | None) -> tuple[int, dict[str, str], dict[str, Any]]:
    answer = http.refusal(code, "Because.", "some.field")
    error: dict[str, Any] = json.loads(bytes(answer.body))["error"]
    return answer.status_code, dict(answer.headers), error


def test_a_refusal_has_the_shape_that_clients_read() -> None:
    status, _, error = told("invalid_value")
    assert status == 400
    assert error == {
        "message": "Because.",
        "type": "invalid_request_error",
        "param": "some.field",
        "code": "invalid_value",
    }


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (None, 400, "invalid_request_error"),
        ("never_heard_of", 400, "invalid_request_error"),
        ("invalid_api_key", 401, "invalid_request_error"),
        ("origin_not_allowed", 403, "invalid_request_error"),
        ("model_not_found", 404, "invalid_request_error"),
        ("request_too_large", 413, "invalid_request_error"),
        ("rate_limit_exceeded", 429, "rate_limit_error"),
        ("internal_error", 500, "server_error"),
        ("engine_gone", 503, "server_error"),
        ("completion_timeout", 504, "server_error"),
    ],
)
def test_status_and_type_follow_the_code(code: str, status: int, kind: str) -> None:
    given_status, _, error = told(code)
    assert (given_status, error["type"]) == (status, kind)


def test_whoever_may_try_again_is_told_when() -> None:
    for code in ("rate_limit_exceeded", "session_limit_reached", "no_free_slot"):
        assert int(told(code)[1]["retry-after"]) >= 1
    assert "retry-after" not in told("invalid_value")[1]
    assert told("invalid_api_key")[1]["www-authenticate"] == "Bearer"
