"""Reads a whole Messages answer into parts."""

from __future__ import annotations

from typing import Any, Final

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedResponse
from bartizan.protocols.anthropic_blocks import Blocks
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse, upstream_error
from bartizan.protocols.json_guard import decode_json
from bartizan.protocols.limits import Limits
from bartizan.types import Origin, PartKind

MESSAGE: Final = Fields.of(
    "content stop_details stop_sequence",
    "bartizan container context_management diagnostics id input_transformations model role stop_reason"
    " type usage",
)


def read_response(body: bytes, limits: Limits) -> ParsedResponse:
    """Understand a whole Messages answer.

    Raises:
        ProtocolError: 502 ``upstream_invalid_response``.
    """
    gathered = Gathered(limits)
    try:
        tree = decode_json(body, depth=limits.depth)
        if type(tree) is not dict or type(tree.get("content")) is not list:
            refuse("it is not an object with a list of content")
        gathered.fields(tree, MESSAGE, "")
        blocks = Blocks(gathered, answer=True)
        blocks.content(tree["content"], "/content", PartKind.TEXT, Origin.MODEL)
        read_ending(blocks, tree)
    except ProtocolError as error:
        raise upstream_error(error) from None
    return ParsedResponse(tuple(gathered.parts), gathered.unjudged, body)


def read_ending(blocks: Blocks, tree: dict[str, Any]) -> None:
    """Add what an answer says about why it ended.

    Raises:
        ProtocolError: A name is not a string.
    """
    for key in ("stop_reason", "stop_sequence"):
        blocks.label(Origin.MODEL, f"/{key}", tree.get(key))
    blocks.walk(tree.get("stop_details"), "/stop_details", PartKind.TEXT, Origin.MODEL)
