"""The error envelope that OpenAI's SDKs expect, shared by its protocols."""

from __future__ import annotations

from bartizan.ports import Reply
from bartizan.protocols.http_message import error_reply


def openai_error(status: int, code: str, message: str, *, record_id: str, param: str | None) -> Reply:
    """Return an error reply."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return error_reply(status, code, body, record_id)
