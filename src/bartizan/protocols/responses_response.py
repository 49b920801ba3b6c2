"""Reads a whole Responses answer into parts."""

from __future__ import annotations

from typing import Any

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest, ParsedResponse
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse, upstream_error
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits
from bartizan.protocols.responses_items import ItemReader
from bartizan.types import Origin, PartKind

INSTRUCTIONS = "/instructions"
TOP = Fields.of(
    "output output_text error instructions",
    "id object created_at completed_at model status incomplete_details metadata parallel_tool_calls"
    " temperature tool_choice tools top_p background conversation image input_transformations"
    " max_output_tokens max_tool_calls moderation previous_response_id prompt prompt_cache_diagnostics"
    " prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier"
    " text tool_usage top_logprobs truncation usage user access_programs store frequency_penalty"
    " presence_penalty billing provider bartizan",
)
"""Fields of a response. What repeats the request's own settings (tools, metadata, format) is not judged."""

_ERROR = Fields.of("message", "code param type misalignment")


def read_response(body: bytes, request: ParsedRequest, limits: Limits) -> ParsedResponse:
    """Understand a whole answer.

    Raises:
        ProtocolError: 502 ``upstream_invalid_response``.
    """
    gathered = Gathered(limits)
    try:
        tree = decode_json(body, depth=limits.depth)
        read_tree(tree, ItemReader(gathered, answer=True), gathered, instructions_of(request))
        if type(tree.get("output")) is not list and tree.get("error") is None:
            refuse("it has no list of output items")
    except ProtocolError as error:
        raise upstream_error(error) from None
    return ParsedResponse(tuple(gathered.parts), gathered.unjudged, body)


def read_tree(tree: Any, reader: ItemReader, gathered: Gathered, instructions: str) -> None:
    """Read a decoded response object.

    Args:
        tree: The object.
        reader: Reads its items.
        gathered: Where what can't be judged goes.
        instructions: What the client itself gave: an answer repeats them, which tells nothing.

    Raises:
        ProtocolError: It is not a response.
    """
    if type(tree) is not dict:
        refuse("it is not an object")
    gathered.fields(tree, TOP, "")
    if tree.get("output") is not None:
        reader.items(tree["output"], "/output")
    if tree.get("output_text") is not None:
        reader.text(PartKind.TEXT, Origin.MODEL, "/output_text", tree["output_text"])
    if tree.get("error") is not None:
        read_error(tree["error"], "/error", reader, gathered)
    if tree.get("instructions") not in (None, "", instructions):
        gathered.skip(INSTRUCTIONS, "instructions that this request did not give")


def read_error(error: Any, where: str, reader: ItemReader, gathered: Gathered) -> None:
    """Read an upstream's complaint: its message is text like any other."""
    if type(error) is str:
        reader.text(PartKind.TEXT, Origin.MODEL, where, error)
        return
    if type(error) is not dict:
        refuse("an error is not an object")
    gathered.fields(error, _ERROR, where)
    if error.get("message") is not None:
        reader.text(PartKind.TEXT, Origin.MODEL, f"{where}/message", error["message"])
    if error.get("misalignment"):
        text = encode_json(error["misalignment"]).decode()
        reader.text(PartKind.TEXT, Origin.MODEL, f"{where}/misalignment", text)


def instructions_of(request: ParsedRequest) -> str:
    """Return the instructions that a request gave; empty if none."""
    return next((p.text for p in request.parts if p.path == INSTRUCTIONS), "")
