"""Anthropic Messages, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from bartizan.ports import ParsedRequest, ParsedResponse, Reply, StreamReader
from bartizan.protocols.anthropic_edit import replace_text
from bartizan.protocols.anthropic_error import error_body
from bartizan.protocols.anthropic_request import read_request
from bartizan.protocols.anthropic_response import read_response
from bartizan.protocols.anthropic_stream import MessagesStreamReader
from bartizan.protocols.http_message import check_encoding, error_reply, segments
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.limits import DEFAULT, Limits
from bartizan.protocols.pointer import tokens


class AnthropicMessages:
    """Implements :class:`bartizan.ports.WireProtocol` for ``/v1/messages``.

    Args:
        limits: How much one message may hold.
    """

    name: ClassVar[str] = "anthropic-messages"
    kind: ClassVar[str] = "chat"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or DEFAULT

    def operation(self, method: str, path: str) -> str | None:
        """Judge messages; pass the listing of models and the counting of tokens, which no model reads.

        Batches are unknown: what they ask and bring back would go unjudged. So are files.
        """
        found = segments(path)
        if not found:
            return None
        if method == "POST":
            if found[-2:] == ["v1", "messages"]:
                return "judge"
            return "pass" if found[-3:] == ["v1", "messages", "count_tokens"] else None
        if method == "GET":
            return "pass" if found[-2:] == ["v1", "models"] or found[-3:-1] == ["v1", "models"] else None
        return None

    def parse_request(self, path: str, headers: Mapping[str, str], body: bytes) -> ParsedRequest:
        """Understand a request; see :func:`bartizan.protocols.anthropic_request.read_request`.

        Raises:
            ProtocolError: With the status and code that the client should see.
        """
        check_encoding(headers)
        return read_request(body, self._limits)

    def parse_response(
        self, request: ParsedRequest, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse:
        """Understand a whole answer.

        Raises:
            ProtocolError: ``side="upstream"``, status 502, ``upstream_invalid_response``.
        """
        return read_response(body, self._limits)

    def open_stream(self, request: ParsedRequest) -> StreamReader:
        """Return a reader for one streamed answer."""
        return MessagesStreamReader(self._limits)

    def rewrite(self, document: Any, headers: Mapping[str, str], edits: Mapping[str, str]) -> bytes:
        """Return the body with the text at each pointer replaced.

        Raises:
            ProtocolError: ``not_rewritable``: there is no text at a pointer.
        """
        tree = json.loads(document)
        for pointer, text in edits.items():
            replace_text(tree, tokens(pointer), text)
        return encode_json(tree)

    def error(
        self, status: int, code: str, message: str, *, record_id: str, param: str | None = None
    ) -> Reply:
        """Return an error as Anthropic's SDKs expect it."""
        body = error_body(status, code, message, record_id=record_id, param=param)
        return error_reply(status, code, body, record_id)
