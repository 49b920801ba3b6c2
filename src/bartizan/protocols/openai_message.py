"""Reads what requests and answers of the chat protocol share: content and tool calls."""

from __future__ import annotations

from typing import Any

from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse
from bartizan.protocols.json_guard import encode_json
from bartizan.types import Origin, PartKind

_PIECE = Fields.of("type text refusal thinking image_url input_audio file", "cache_control id closed")
_CALL = Fields.of("function custom", "id type index extra_content")
_CALLED = Fields.of("name arguments input")
_TEXT_KEYS = ("text", "refusal", "thinking")
_MEDIA = {"image_url": "an image", "input_audio": "audio", "file": "a file"}
_KNOWN_TYPES = frozenset({*_MEDIA, *_TEXT_KEYS, "input_text", "output_text"})
_CALL_FORMS = (("function", "arguments"), ("custom", "input"))


def read_content(
    gathered: Gathered, content: Any, path: str, kind: PartKind, origin: Origin, name: str = ""
) -> None:
    """Add the parts of a message's content: a string, or a list of pieces.

    Raises:
        ProtocolError: It is neither, or a piece is malformed.
    """
    if type(content) is str:
        if content:
            gathered.text(kind, origin, path, content, name)
    elif type(content) is list:
        gathered.spend(len(content), path)
        for index, piece in enumerate(content):
            _read_piece(gathered, piece, f"{path}/{index}", kind, origin, name)
    elif content is not None:
        refuse("content is neither a string nor a list of parts", path)


def _read_piece(
    gathered: Gathered, piece: Any, where: str, kind: PartKind, origin: Origin, name: str
) -> None:
    if type(piece) is str:
        if piece:
            gathered.text(kind, origin, where, piece, name)
        return
    if type(piece) is not dict:
        refuse("a content part is neither an object nor a string", where)
    media = piece.get("type")
    if media is not None and type(media) is not str:
        refuse("the type of a content part is not a string", f"{where}/type")
    for key in _TEXT_KEYS:
        if piece.get(key) is not None:
            read_content(gathered, piece[key], f"{where}/{key}", kind, origin, name)
    if media == "text" and type(piece.get("text")) is not str:
        refuse("a text part has no text", f"{where}/text")
    for key, why in _MEDIA.items():
        if piece.get(key) is not None or media == key:
            gathered.skip(where, why)
    if media is not None and media not in _KNOWN_TYPES:
        gathered.skip(where, "content of an unknown type")
    gathered.fields(piece, _PIECE, where)


def read_calls(gathered: Gathered, message: dict[str, Any], where: str, origin: Origin) -> dict[str, str]:
    """Add a message's tool calls, in the current form and in the older one.

    Returns:
        Tool names by call id.

    Raises:
        ProtocolError: A call is malformed.
    """
    names: dict[str, str] = {}
    called = message.get("function_call")
    if called is not None:
        gathered.spend(1, where)
        _read_called(gathered, called, "arguments", f"{where}/function_call", origin)
    calls = message.get("tool_calls")
    if calls is None:
        return names
    if type(calls) is not list:
        refuse("tool_calls is not a list", f"{where}/tool_calls")
    gathered.spend(len(calls), f"{where}/tool_calls")
    for index, call in enumerate(calls):
        path = f"{where}/tool_calls/{index}"
        if type(call) is not dict:
            refuse("a tool call is not an object", path)
        gathered.fields(call, _CALL, path)
        forms = [(key, field) for key, field in _CALL_FORMS if call.get(key) is not None]
        if not forms:
            refuse("a tool call has neither a function nor a custom tool", path)
        for key, field in forms:
            name = _read_called(gathered, call[key], field, f"{path}/{key}", origin)
            if type(call.get("id")) is str:
                names[call["id"]] = name
    return names


def _read_called(gathered: Gathered, called: Any, field: str, path: str, origin: Origin) -> str:
    if type(called) is not dict:
        refuse("a called tool is not an object", path)
    gathered.fields(called, _CALLED, path)
    name = called.get("name")
    if type(name) is not str:
        refuse("a called tool has no name", f"{path}/name")
    gathered.label(origin, f"{path}/name", name)
    text = called.get(field)
    if type(text) is dict:  # some clients send the arguments decoded
        text = encode_json(text).decode()
    if text is not None and type(text) is not str:
        refuse("the arguments of a tool call are not a string", f"{path}/{field}")
    gathered.text(PartKind.TOOL_CALL, origin, f"{path}/{field}", text or "", name)
    return name
