"""Reads a Messages request into parts."""

from __future__ import annotations

from typing import Any, Final

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest
from bartizan.protocols.anthropic_blocks import Blocks
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse, seed
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits
from bartizan.types import Origin, PartKind

_TOP: Final = Fields.of(
    "messages system tools model stream mcp_servers thread container context_management compaction"
    " fallbacks output_config output_format",
    "billing_policy cache_control diagnostics fallback_credit_token inference_geo max_tokens metadata"
    " service_tier speed stop_sequences temperature thinking tool_choice top_k top_p user_profile_id"
    " workspace_id",
)
_MESSAGE: Final = Fields.of("role content", "clear_at output_config")
_ORIGINS: Final = {"system": Origin.OPERATOR, "user": Origin.USER, "assistant": Origin.MODEL}
# What the provider brings in by itself: it never passes here.
_ELSEWHERE: Final = {
    "thread": "history that the provider keeps",
    "container": "files that the provider keeps",
    "mcp_servers": "tools that the provider asks elsewhere",
}
_SETTINGS: Final = ("context_management", "compaction", "fallbacks")
_SCHEMAS: Final = (("output_config", "format"), ("output_format",))


def read_request(body: bytes, limits: Limits) -> ParsedRequest:
    """Understand a Messages request.

    Raises:
        ProtocolError: 4xx; says what to change.
    """
    tree = decode_json(body, depth=limits.depth)
    if type(tree) is not dict:
        refuse("the body is not a JSON object")
    gathered = Gathered(limits)
    blocks = Blocks(gathered, answer=False)
    model, stream, messages = _envelope(tree, limits)
    gathered.fields(tree, _TOP, "")
    for key, why in _ELSEWHERE.items():
        if tree.get(key):
            gathered.skip(f"/{key}", why)
    blocks.content(tree.get("system"), "/system", PartKind.TEXT, Origin.OPERATOR)
    _read_tools(gathered, blocks, tree)
    for index, message in enumerate(messages):
        where = f"/messages/{index}"
        if type(message) is not dict:
            refuse("a message is not an object", where)
        role = message.get("role")
        if type(role) is not str:
            refuse("a message has no role", f"{where}/role", hint="use user or assistant")
        gathered.fields(message, _MESSAGE, where)
        # A role nobody knows gets the least trusted origin: everything judges it.
        origin = _ORIGINS.get(role, Origin.WEB)
        blocks.content(message.get("content"), f"{where}/content", PartKind.TEXT, origin)
    return ParsedRequest(
        tuple(gathered.parts), model, stream, seed(gathered.parts, model), gathered.unjudged, body
    )


def _envelope(tree: dict[str, Any], limits: Limits) -> tuple[str, bool, list[Any]]:
    model, stream, messages = tree.get("model"), tree.get("stream"), tree.get("messages")
    if model is not None and type(model) is not str:
        refuse("model is not a string", "model")
    if stream is not None and type(stream) is not bool:
        refuse("stream is neither true nor false", "stream")
    if type(messages) is not list:
        refuse("messages is missing or not a list", "messages", hint="send a list of messages")
    if not messages:
        refuse("messages is empty", "messages", hint="send at least one message")
    if len(messages) > limits.messages:
        raise ProtocolError(
            f"there are more than {limits.messages} messages",
            status=413,
            code="too_many_messages",
            param="messages",
            hint="send a shorter history",
        )
    return model or "", bool(stream), messages


def _read_tools(gathered: Gathered, blocks: Blocks, tree: dict[str, Any]) -> None:
    """Add definitions of tools, and settings with texts. The client declares them for the operator."""
    tools = tree.get("tools")
    if tools is not None:
        if type(tools) is not list:
            refuse("tools is not a list", "tools")
        gathered.spend(len(tools), "tools")
        for index, tool in enumerate(tools):
            blocks.definition(tool, f"/tools/{index}", Origin.OPERATOR)
    for path in _SCHEMAS:
        found: Any = tree
        for key in path:
            found = found.get(key) if type(found) is dict else None
        if type(found) is dict and found.get("schema") is not None:
            where = "/".join(("", *path, "schema"))
            blocks.text(PartKind.TEXT, Origin.OPERATOR, where, encode_json(found["schema"]).decode())
    for key in _SETTINGS:
        blocks.walk(tree.get(key), f"/{key}", PartKind.TEXT, Origin.OPERATOR)
