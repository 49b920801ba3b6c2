"""Replaces text elements in an inference message."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from bartizan.errors import ProtocolError
from bartizan.protocols.http_message import header
from bartizan.protocols.inference_message import HEAD_LENGTH, split_head
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.pointer import holder, missing, tokens
from bartizan.protocols.tensors import texts_from_binary, texts_to_binary


def rewrite(body: bytes, headers: Mapping[str, str], edits: Mapping[str, str]) -> bytes:
    """Return a message with the text at each pointer replaced.

    ``Inference-Header-Content-Length`` stays as it is, so the new JSON head is padded with
    spaces to the length of the old one.

    Args:
        body: A message that has been parsed.
        headers: Its headers.
        edits: New texts by JSON Pointer.

    Raises:
        ProtocolError: ``not_rewritable``: there is no text at a pointer, or the new head
            would be longer than the old one.
    """
    head, tail = split_head(headers, body)
    tree = json.loads(head)
    field = "inputs" if "inputs" in tree else "outputs"
    sections = _sections(tree[field], tail)
    for pointer, text in edits.items():
        path = tokens(pointer)
        if path[:1] == [field] and path[2:3] == ["data"]:
            where, index = holder(tree, path[:2])
            if index in sections:
                sections[index] = _edited(where[index], sections[index], path, text)
                continue
        where, key = holder(tree, path)
        if not isinstance(where[key], str):
            raise missing()
        where[key] = text
    new = encode_json(tree)
    if header(headers, HEAD_LENGTH) is None:
        return new
    if len(new) > len(head):
        raise ProtocolError(
            "the message can't be rewritten at its length",
            code="not_rewritable",
            hint="block it instead, or send text tensors as JSON",
        )
    return new.ljust(len(head)) + b"".join(sections.values())


def _sections(tensors: list[dict[str, Any]], tail: bytes) -> dict[str | int, bytes]:
    """Return each binary tensor's bytes by its position, in their order."""
    sections: dict[str | int, bytes] = {}
    at = 0
    for index, tensor in enumerate(tensors):
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is not None:
            sections[index] = tail[at : at + size]
            at += size
    return sections


def _edited(tensor: dict[str, Any], section: bytes, path: list[str], text: str) -> bytes:
    """Return a ``BYTES`` section with one element replaced, and note its new size in the tensor."""
    if tensor["datatype"] != "BYTES":
        raise missing()
    texts = texts_from_binary(section, math.prod(tensor["shape"]), path[0])
    where, key = holder(texts, path[3:])
    where[key] = text.encode()
    section = texts_to_binary(texts)
    tensor["parameters"]["binary_data_size"] = len(section)
    return section
