"""OpenAI Responses, whole and streamed; spoken by OpenAI, vLLM, llama.cpp, Ollama and others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from bartizan.ports import ParsedRequest, ParsedResponse, Reply, StreamReader
from bartizan.protocols.http_message import check_encoding, segments
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.limits import DEFAULT, Limits
from bartizan.protocols.openai_error import openai_error
from bartizan.protocols.pointer import tokens
from bartizan.protocols.responses_request import read_request
from bartizan.protocols.responses_response import read_response
from bartizan.protocols.responses_rewrite import replace_at
from bartizan.protocols.responses_stream import ResponsesStreamReader

_COUNTED = "input_tokens"
_ASKS = frozenset({_COUNTED, "compact"})
"""What follows ``/v1/responses/`` in a POST that is not about a stored answer."""


class OpenAIResponses:
    """Implements :class:`bartizan.ports.WireProtocol` for ``/v1/responses``.

    Args:
        limits: How much one message may hold.
    """

    name: ClassVar[str] = "openai-responses"
    kind: ClassVar[str] = "chat"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or DEFAULT

    def operation(self, method: str, path: str) -> str | None:
        """Judge what is asked, answered, compacted, or fetched later; pass counting and deleting.

        A stored answer comes back as one that nobody may have judged (it was made in the
        background, or past the gateway), so fetching and cancelling are judged as answers are.
        """
        rest = _rest(path)
        if rest is None:
            return None
        if method == "POST":
            if not rest or rest == ["compact"]:
                return "judge"
            if rest == [_COUNTED]:
                return "pass"
            return "judge" if len(rest) == 2 and rest[1] == "cancel" else None
        if len(rest) != 1 or rest[0] in _ASKS:
            return None
        return {"GET": "judge", "DELETE": "pass"}.get(method)

    def parse_request(self, path: str, headers: Mapping[str, str], body: bytes) -> ParsedRequest:
        """Understand a request; one about a stored answer has nothing in it to judge.

        Raises:
            ProtocolError: With the status and code that the client should see.
        """
        check_encoding(headers)
        rest = _rest(path)
        if rest and rest[0] not in _ASKS and not body.strip():
            return ParsedRequest((), document=body)
        return read_request(body, self._limits)

    def parse_response(
        self, request: ParsedRequest, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse:
        """Understand a whole answer.

        Raises:
            ProtocolError: ``side="upstream"``, status 502, ``upstream_invalid_response``.
        """
        return read_response(body, request, self._limits)

    def open_stream(self, request: ParsedRequest) -> StreamReader:
        """Return a reader for one streamed answer."""
        return ResponsesStreamReader(request, self._limits)

    def rewrite(self, document: Any, headers: Mapping[str, str], edits: Mapping[str, str]) -> bytes:
        """Return the body with the text at each pointer replaced; see :func:`replace_at`.

        Raises:
            ProtocolError: ``not_rewritable``: there is no text at a pointer.
        """
        tree = json.loads(document)
        for pointer, text in edits.items():
            replace_at(tree, tokens(pointer), text)
        return encode_json(tree)

    def error(
        self, status: int, code: str, message: str, *, record_id: str, param: str | None = None
    ) -> Reply:
        """Return an error as OpenAI's SDKs expect it."""
        return openai_error(status, code, message, record_id=record_id, param=param)


def _rest(path: str) -> list[str] | None:
    """Return the segments after ``/v1/responses``, or ``None`` if the path is not below it.

    >>> _rest("/v1/responses"), _rest("/x/v1/responses/resp_1/cancel"), _rest("/v1/models")
    ([], ['resp_1', 'cancel'], None)
    """
    found = segments(path) or []
    for index in range(len(found) - 1):
        if found[index : index + 2] == ["v1", "responses"]:
            return found[index + 2 :]
    return None
