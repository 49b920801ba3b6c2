"""The error envelope that Anthropic's SDKs expect."""

from __future__ import annotations

from typing import Any, Final

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_body(status: int, code: str, message: str, *, record_id: str, param: str | None) -> dict[str, Any]:
    """Return the body of an error. ``code`` and ``param`` are further fields, which SDKs hand on."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": message, "code": code, "param": param}
    return {"type": "error", "error": error, "request_id": record_id}
