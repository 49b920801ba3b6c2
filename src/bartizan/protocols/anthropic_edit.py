"""Replaces texts in messages of the Messages protocol, in a tree that the caller owns."""

from __future__ import annotations

import json
from typing import Any

from bartizan.protocols.json_guard import is_json
from bartizan.protocols.pointer import holder, missing


def replace_text(tree: Any, path: list[str], text: str) -> None:
    """Put a text in the place of another.

    A replaced tool definition keeps its name and loses the rest. A replaced input stays an
    object, because whoever reads it expects that.

    Raises:
        ProtocolError: ``not_rewritable``: there is no text at the path.
    """
    where, key = holder(tree, path)
    old = where[key]
    if isinstance(old, str):
        where[key] = text
    elif isinstance(old, dict) and key == "input":
        given = json.loads(text) if is_json(text) else None
        where[key] = given if isinstance(given, dict) else {"notice": text}
    elif isinstance(old, dict) and (path[-2:-1] == ["tools"] or key == "definition"):
        name = {"name": old["name"]} if "name" in old else {}
        where[key] = name | {"description": text, "input_schema": {"type": "object", "properties": {}}}
    else:
        raise missing()
