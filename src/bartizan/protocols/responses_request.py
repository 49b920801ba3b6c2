"""Reads a Responses request into parts."""

from __future__ import annotations

from typing import Any

from bartizan.ports import ParsedRequest
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse, seed
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits, is_label
from bartizan.protocols.responses_items import ItemReader
from bartizan.types import Origin, PartKind

_TOP = Fields.of(
    "input instructions tools model stream previous_response_id conversation prompt text",
    "access_programs background background_options cache_salt context_management frequency_penalty image"
    " include max_output_tokens max_tool_calls metadata min_p moderation parallel_tool_calls"
    " presence_penalty priority prompt_cache_key prompt_cache_options prompt_cache_retention reasoning"
    " repetition_penalty safety_identifier seed service_tier stop store stream_options temperature"
    " tool_choice top_k top_logprobs top_p truncation user verbosity",
)
_PROMPT = Fields.of("id variables", "version")
_KEPT = {
    "previous_response_id": "history that the server keeps",
    "conversation": "history that the server keeps",
}


def read_request(body: bytes, limits: Limits) -> ParsedRequest:
    """Understand a Responses request.

    What the server keeps and the request only names is not in the message, so nobody here can
    judge it: each such reference is unjudged.

    Raises:
        ProtocolError: 4xx; says what to change.
    """
    tree = decode_json(body, depth=limits.depth)
    if type(tree) is not dict:
        refuse("the body is not a JSON object")
    gathered = Gathered(limits)
    model, stream = _envelope(tree)
    gathered.fields(tree, _TOP, "")
    reader = ItemReader(gathered, answer=False)
    _read_operator(reader, tree, gathered)
    _read_kept(reader, tree, gathered)
    given = tree.get("input")
    if type(given) is str:
        reader.text(PartKind.TEXT, Origin.USER, "/input", given)
    elif given is not None:
        reader.items(given, "/input")
    parts = tuple(gathered.parts)
    return ParsedRequest(parts, model, stream, seed(parts, model), gathered.unjudged, body)


def _envelope(tree: dict[str, Any]) -> tuple[str, bool]:
    model, stream = tree.get("model"), tree.get("stream")
    if model is not None and type(model) is not str:
        refuse("model is not a string", "model")
    if stream is not None and type(stream) is not bool:
        refuse("stream is neither true nor false", "stream")
    return model or "", bool(stream)


def _read_operator(reader: ItemReader, tree: dict[str, Any], gathered: Gathered) -> None:
    """Add what the client declares: it speaks for the operator."""
    instructions, tools, wanted = tree.get("instructions"), tree.get("tools"), tree.get("text")
    if instructions is not None:
        reader.text(PartKind.TEXT, Origin.OPERATOR, "/instructions", instructions)
    if tools is not None:
        if type(tools) is not list:
            refuse("tools is not a list", "tools")
        gathered.spend(len(tools), "tools")
        for index, tool in enumerate(tools):
            if type(tool) is not dict:
                refuse("a tool is not an object", f"/tools/{index}")
            reader.definition(tool, f"/tools/{index}", Origin.OPERATOR)
    form = wanted.get("format") if type(wanted) is dict else None
    if type(form) is dict and form.get("schema") is not None:
        text = encode_json(form).decode()
        reader.text(PartKind.TEXT, Origin.OPERATOR, "/text/format", text)


def _read_kept(reader: ItemReader, tree: dict[str, Any], gathered: Gathered) -> None:
    for key, why in _KEPT.items():
        if tree.get(key):
            gathered.skip(f"/{key}", why)
    prompt = tree.get("prompt")
    if prompt is None:
        return
    if type(prompt) is not dict:
        refuse("prompt is not an object", "prompt")
    gathered.skip("/prompt", "a template that the server keeps")
    gathered.fields(prompt, _PROMPT, "/prompt")
    variables = prompt.get("variables")
    if variables is None:
        return
    if type(variables) is not dict:
        refuse("the variables of a prompt are not an object", "prompt")
    gathered.spend(len(variables), "prompt")
    for name, value in variables.items():
        # Who fills a template in is seldom who wrote it.
        if not is_label(name):
            refuse("the name of a prompt's variable is no identifier", "prompt")
        token = name.replace("/", "~1")
        if value is not None:
            reader.content(value, f"/prompt/variables/{token}", PartKind.TEXT, Origin.USER)
