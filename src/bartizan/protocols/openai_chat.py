"""OpenAI Chat Completions, whole and streamed; spoken by OpenAI, vLLM, llama.cpp, Ollama and others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from bartizan.ports import ParsedRequest, ParsedResponse, Reply, StreamReader
from bartizan.protocols.http_message import check_encoding, segments
from bartizan.protocols.json_guard import encode_json, is_json
from bartizan.protocols.limits import DEFAULT, Limits
from bartizan.protocols.openai_error import openai_error
from bartizan.protocols.openai_request import read_request
from bartizan.protocols.openai_response import read_response
from bartizan.protocols.openai_stream import COPIES, ChatStreamReader
from bartizan.protocols.pointer import holder, missing, tokens

MAX_MODEL_SEGMENTS = 4
"""Model ids may hold slashes: ``/v1/models/example-org/chat-7b``."""


class OpenAIChat:
    """Implements :class:`bartizan.ports.WireProtocol` for ``/v1/chat/completions``.

    Args:
        limits: How much one message may hold.
    """

    name: ClassVar[str] = "openai-chat"
    kind: ClassVar[str] = "chat"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or DEFAULT

    def operation(self, method: str, path: str) -> str | None:
        """Judge completions, pass the listing of models, know nothing else."""
        if method == "POST":
            found = segments(path)
            return "judge" if found and found[-3:] == ["v1", "chat", "completions"] else None
        if method == "GET":
            found = segments(path.replace("%2F", "/").replace("%2f", "/"))
            for index in range(len(found or ()) - 1):
                if found and found[index : index + 2] == ["v1", "models"]:
                    return "pass" if len(found) - index - 2 <= MAX_MODEL_SEGMENTS else None
        return None

    def parse_request(self, path: str, headers: Mapping[str, str], body: bytes) -> ParsedRequest:
        """Understand a request; see :func:`bartizan.protocols.openai_request.read_request`.

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
        return ChatStreamReader(self._limits)

    def rewrite(self, document: Any, headers: Mapping[str, str], edits: Mapping[str, str]) -> bytes:
        """Return the body with the text at each pointer replaced.

        What repeats a replaced text goes with it: the log-probabilities of a choice list its
        tokens. A replaced tool definition keeps its name and loses the rest; replaced
        arguments stay JSON where they were JSON, because whoever reads them expects that.

        Raises:
            ProtocolError: ``not_rewritable``: there is no text at a pointer.
        """
        tree = json.loads(document)
        for pointer, text in edits.items():
            path = tokens(pointer)
            where, key = holder(tree, path)
            where[key] = _replacement(where[key], path, text)
            if path[0] == "choices":
                for copy in COPIES:
                    tree["choices"][int(path[1])].pop(copy, None)
        return encode_json(tree)

    def error(
        self, status: int, code: str, message: str, *, record_id: str, param: str | None = None
    ) -> Reply:
        """Return an error as OpenAI's SDKs expect it."""
        return openai_error(status, code, message, record_id=record_id, param=param)


def _replacement(old: Any, path: list[str], text: str) -> Any:
    if isinstance(old, dict) and path[0] in ("tools", "functions"):
        name = {"name": old["name"]} if "name" in old else {}
        return name | {"description": text, "parameters": {"type": "object", "properties": {}}}
    arguments = path[-1] == "arguments"
    if isinstance(old, dict) and arguments:  # sent decoded, so kept decoded
        return json.loads(text) if is_json(text) else {"notice": text}
    if not isinstance(old, str):
        raise missing()
    return json.dumps({"notice": text}) if arguments and is_json(old) and not is_json(text) else text
