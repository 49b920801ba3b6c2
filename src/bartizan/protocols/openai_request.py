"""Reads a chat request into parts."""

from __future__ import annotations

from typing import Any

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse, seed
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits
from bartizan.protocols.openai_message import read_calls, read_content
from bartizan.types import Origin, PartKind

_TOP = Fields.of(
    "messages tools functions model stream prediction response_format",
    "audio cache_salt frequency_penalty function_call ignore_eos include_reasoning"
    " include_stop_str_in_output length_penalty logit_bias logprobs max_completion_tokens"
    " max_tokens metadata min_p min_tokens modalities n parallel_tool_calls presence_penalty"
    " priority prompt_cache_key prompt_cache_retention provider reasoning reasoning_effort"
    " repetition_penalty safety_identifier seed service_tier skip_special_tokens stop"
    " stop_token_ids store stream_options temperature thinking tool_choice top_k top_logprobs"
    " top_p user verbosity web_search_options",
)
_MESSAGE = Fields.of(
    "role content name tool_calls tool_call_id function_call refusal reasoning_content reasoning",
    "audio cache_control",
)
_TOOL = Fields.of("function custom", "type cache_control")
_DEFINITION = Fields.of("name description parameters format", "strict cache_control")
_ORIGINS = {
    "system": Origin.OPERATOR,
    "developer": Origin.OPERATOR,
    "user": Origin.USER,
    "assistant": Origin.MODEL,
    "tool": Origin.TOOL,
    "function": Origin.TOOL,
}
_PLAIN = frozenset({"role", "content"})
_SPOKEN = ("reasoning_content", "reasoning", "refusal")


def read_request(body: bytes, limits: Limits) -> ParsedRequest:
    """Understand a chat request.

    Raises:
        ProtocolError: 4xx; says what to change.
    """
    tree = decode_json(body, depth=limits.depth)
    if type(tree) is not dict:
        refuse("the body is not a JSON object")
    gathered = Gathered(limits)
    model, stream, messages = _envelope(tree, limits)
    gathered.fields(tree, _TOP, "")
    _read_tools(gathered, tree)
    _read_messages(gathered, messages)
    if tree.get("prediction") is not None:
        _read_prediction(gathered, tree["prediction"])
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


def _read_messages(gathered: Gathered, messages: list[Any]) -> None:
    called: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"/messages/{index}"
        if type(message) is not dict:
            refuse("a message is not an object", where)
        role = message.get("role")
        if type(role) is not str:
            refuse("a message has no role", f"{where}/role", hint="use system, user, assistant or tool")
        # A role nobody knows gets the least trusted origin: everything judges it.
        origin = _ORIGINS.get(role, Origin.WEB)
        gathered.fields(message, _MESSAGE, where)
        kind, name = PartKind.TEXT, ""
        if origin is Origin.TOOL:
            kind, name = PartKind.TOOL_RESULT, _tool_name(message, called)
        if type(content := message.get("content")) is str:
            if content:
                gathered.text(kind, origin, f"{where}/content", content, name)
        elif content is not None:
            read_content(gathered, content, f"{where}/content", kind, origin, name)
        if not message.keys() <= _PLAIN:
            _read_rest(gathered, message, where, origin, called)


def _read_rest(
    gathered: Gathered, message: dict[str, Any], where: str, origin: Origin, called: dict[str, str]
) -> None:
    """Read everything but the content. Any role may carry it: templates render what is there."""
    for key in _SPOKEN:
        if message.get(key) is not None:
            read_content(gathered, message[key], f"{where}/{key}", PartKind.TEXT, origin)
    for key in ("name", "tool_call_id"):
        label = message.get(key)
        if type(label) is str:
            gathered.label(origin, f"{where}/{key}", label)
        elif label is not None:
            refuse(f"the {key} of a message is not a string", f"{where}/{key}")
    if message.get("audio") is not None:
        gathered.skip(f"{where}/audio", "audio")
    called.update(read_calls(gathered, message, where, origin))


def _tool_name(message: dict[str, Any], called: dict[str, str]) -> str:
    """Return the name of the tool whose result a message is, as far as it is known."""
    call = message.get("tool_call_id")
    name = called.get(call) if type(call) is str else None
    if name is None:
        name = message.get("name")
    return name if type(name) is str else ""


def _read_tools(gathered: Gathered, tree: dict[str, Any]) -> None:
    """Add definitions of tools. The client declares them, so they speak for the operator."""
    for key in ("tools", "functions"):
        tools = tree.get(key)
        if tools is None:
            continue
        if type(tools) is not list:
            refuse(f"{key} is not a list", key)
        gathered.spend(len(tools), key)
        for index, tool in enumerate(tools):
            where = f"/{key}/{index}"
            if type(tool) is not dict:
                refuse("a tool is not an object", where)
            if key == "functions":
                _read_definition(gathered, tool, where)
            else:
                _read_tool(gathered, tool, where)
    wanted = tree.get("response_format")
    if type(wanted) is dict and type(wanted.get("json_schema")) is dict:
        text = encode_json(wanted["json_schema"]).decode()
        gathered.text(PartKind.TEXT, Origin.OPERATOR, "/response_format/json_schema", text)


def _read_tool(gathered: Gathered, tool: dict[str, Any], where: str) -> None:
    for form in ("function", "custom"):
        if form in tool:
            gathered.fields(tool, _TOOL, where)
            _read_definition(gathered, tool[form], f"{where}/{form}")
            return
    # Tools that the upstream itself runs: all that is known is what the client wrote.
    name = tool.get("type")
    if type(name) is not str:
        refuse("a tool has no type", f"{where}/type", hint='use {"type": "function", "function": {...}}')
    gathered.text(PartKind.TOOL_DEFINITION, Origin.OPERATOR, where, encode_json(tool).decode(), name)


def _read_definition(gathered: Gathered, tool: Any, where: str) -> None:
    if type(tool) is not dict:
        refuse("a tool definition is not an object", where)
    name, description = tool.get("name"), tool.get("description")
    if type(name) is not str or not name:
        refuse("a tool definition has no name", f"{where}/name")
    if description is not None and type(description) is not str:
        refuse("the description of a tool is not a string", f"{where}/description")
    gathered.fields(tool, _DEFINITION, where)
    schema = tool.get("parameters", tool.get("format"))
    shape = "" if schema is None else encode_json(schema).decode()
    text = "\n".join(piece for piece in (name, description, shape) if piece)
    gathered.text(PartKind.TOOL_DEFINITION, Origin.OPERATOR, where, text, name)


def _read_prediction(gathered: Gathered, prediction: Any) -> None:
    if type(prediction) is not dict:
        refuse("prediction is not an object", "prediction")
    read_content(gathered, prediction.get("content"), "/prediction/content", PartKind.TEXT, Origin.USER)
