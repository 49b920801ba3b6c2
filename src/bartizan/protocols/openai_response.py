"""Reads a whole chat answer into parts."""

from __future__ import annotations

from typing import Any

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedResponse
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse, upstream_error
from bartizan.protocols.json_guard import decode_json
from bartizan.protocols.limits import Limits
from bartizan.protocols.openai_message import read_calls, read_content
from bartizan.types import Origin, PartKind

TOP = Fields.of(
    "choices",
    "bartizan created id model object obfuscation prompt_filter_results prompt_logprobs"
    " prompt_token_ids provider service_tier system_fingerprint timings usage x_groq",
)
CHOICE = Fields.of(
    "message delta",
    "content_filter_offsets content_filter_results finish_reason index logprobs matched_stop"
    " native_finish_reason stop_reason token_ids",
)
_MESSAGE = Fields.of("content refusal tool_calls function_call reasoning_content reasoning", "role audio")
_SPOKEN = ("reasoning_content", "reasoning", "content", "refusal")


def read_response(body: bytes, limits: Limits) -> ParsedResponse:
    """Understand a whole chat answer.

    Raises:
        ProtocolError: 502 ``upstream_invalid_response``.
    """
    gathered = Gathered(limits)
    try:
        tree = decode_json(body, depth=limits.depth)
        if type(tree) is not dict or type(tree.get("choices")) is not list:
            refuse("it is not an object with a list of choices")
        gathered.fields(tree, TOP, "")
        for index, choice in enumerate(tree["choices"]):
            _read_choice(gathered, choice, f"/choices/{index}")
    except ProtocolError as error:
        raise upstream_error(error) from None
    return ParsedResponse(tuple(gathered.parts), gathered.unjudged, body)


def _read_choice(gathered: Gathered, choice: Any, where: str) -> None:
    gathered.spend(1, where)
    message = choice.get("message") if type(choice) is dict else None
    if type(message) is not dict:
        refuse("a choice has no message", where)
    gathered.fields(choice, CHOICE, where)
    where += "/message"
    gathered.fields(message, _MESSAGE, where)
    for key in _SPOKEN:
        if message.get(key) is not None:
            read_content(gathered, message[key], f"{where}/{key}", PartKind.TEXT, Origin.MODEL)
    if message.get("audio") is not None:
        gathered.skip(f"{where}/audio", "audio")
    read_calls(gathered, message, where, Origin.MODEL)
