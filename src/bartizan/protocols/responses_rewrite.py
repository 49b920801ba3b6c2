"""Replaces texts in a decoded Responses message, and what repeats them beside."""

from __future__ import annotations

import json
from typing import Any

from bartizan.protocols.json_guard import is_json
from bartizan.protocols.pointer import holder, missing

COPIES = "logprobs"
"""The field beside a text that lists its tokens; it is emptied when the text is replaced."""

_KEPT = ("type", "name", "server_label")
_SCHEMAS = ("parameters", "input_schema")


def replace_at(tree: Any, path: list[str], text: str) -> None:
    """Replace what stands at a path, in place.

    Strings become the text. What was judged in its JSON form becomes that form again if the text
    still has it, and a notice otherwise; arguments stay JSON where they were JSON, because
    whoever reads them expects that. A tool definition keeps its name and loses the rest.

    Raises:
        ProtocolError: ``not_rewritable``: there is no text at the path.
    """
    where, key = holder(tree, path)
    old = where[key]
    if isinstance(old, str):
        notice = key == "arguments" and is_json(old) and not is_json(text)
        where[key] = json.dumps({"notice": text}) if notice else text
    elif isinstance(old, dict) and len(path) > 1 and path[-2] == "tools":
        schemas = {k: {"type": "object", "properties": {}} for k in _SCHEMAS if k in old}
        where[key] = {k: old[k] for k in _KEPT if k in old} | {"description": text} | schemas
    elif isinstance(old, dict | list):
        where[key] = json.loads(text) if is_json(text) else _notice(old, text)
    else:
        raise missing()
    if isinstance(where, dict) and where.get(COPIES):
        where[COPIES] = []


def _notice(old: Any, text: str) -> Any:
    return {"notice": text} if isinstance(old, dict) else [{"notice": text}]
