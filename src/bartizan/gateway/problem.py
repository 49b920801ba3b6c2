"""Errors of the admin plane as problem details, and the headers that every answer carries.

References:
    RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import http
from collections.abc import Mapping

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

# ``same-origin``, not ``no-referrer``: under the latter browsers send ``Origin: null`` with
# the forms of our own pages, and the check against forged requests would refuse them.
SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, in the words of RFC 9457.

    Attributes:
        type: Always ``about:blank``: the status says what kind of problem it is.
        title: The status in words.
        status: The HTTP status.
        detail: One sentence about this occurrence.
        parameter: The parameter that can't be used, where it is one.
    """

    title: str
    status: int
    detail: str = ""
    parameter: str | None = None
    type: str = msgspec.field(default="about:blank")


class BadParameter(Exception):  # noqa: N818 - it names a parameter, not a failure of ours
    """A parameter of a request that can't be used.

    Args:
        name: Which one.
        why: What it would have to be.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why


def problem(
    status: int,
    detail: str = "",
    *,
    parameter: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer that says what went wrong."""
    title = http.HTTPStatus(status).phrase
    body = msgspec.json.encode(Problem(title, status, detail, parameter))
    return Response(body, status, media_type=MEDIA_TYPE, headers={**SECURITY_HEADERS, **dict(headers or {})})
