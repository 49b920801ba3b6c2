"""What the items of a Responses message hold, type by type: one table for requests, answers and streams."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from bartizan.protocols.fields import Fields
from bartizan.types import Origin, PartKind


class Form(Enum):
    """How the content of a field is written."""

    TEXT = "a string"
    TEXTS = "a list of strings"
    CONTENT = "a string, or a list of content pieces"
    JSON = "any value, judged in its JSON form"
    LABEL = "a name, judged as text unless it is a plain identifier"
    TOOLS = "a list of tool definitions"
    ONE = "an object"
    EACH = "a list of objects"
    MEDIA = "content that nobody here can judge"
    SEALED = "content that only the provider can open"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that carries content.

    Attributes:
        form: How it is written.
        kind: What it is.
        origin: Where it comes from; ``None``: from whoever speaks the message.
        shape: Of objects.
        why: Of content that nobody can judge.
    """

    form: Form
    kind: PartKind = PartKind.TEXT
    origin: Origin | None = None
    shape: Shape | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one type of object holds.

    Attributes:
        reads: Fields that carry content.
        known: Every field whose meaning is known.
        why: Why the object as a whole can't be judged; empty if it can.
    """

    reads: dict[str, Field]
    known: Fields
    why: str = ""

    @classmethod
    def of(cls, others: str = "", why: str = "", **reads: Field) -> Shape:
        """Build from the names of fields without content, and the fields with some."""
        return cls(reads, Fields.of("type " + " ".join(reads), others), why)


def _said(form: Form, shape: Shape | None = None) -> Field:
    return Field(form, origin=Origin.MODEL, shape=shape)


def _call(form: Form = Form.TEXT, shape: Shape | None = None) -> Field:
    return Field(form, PartKind.TOOL_CALL, Origin.MODEL, shape)


def _result(form: Form = Form.TEXT, shape: Shape | None = None, origin: Origin = Origin.TOOL) -> Field:
    return Field(form, PartKind.TOOL_RESULT, origin, shape)


def _media(why: str) -> Field:
    return Field(Form.MEDIA, why=why)


_TEXT: Final = Field(Form.TEXT)
_LABEL: Final = Field(Form.LABEL, origin=Origin.MODEL)
_SEALED: Final = Field(Form.SEALED, why="sealed content, which only the provider can open")
_CALLER: Final = Field(Form.JSON, origin=Origin.MODEL)

ANNOTATION: Final = Shape.of(
    "index file_id start_index end_index container_id",
    url=Field(Form.TEXT, origin=Origin.WEB),
    title=Field(Form.TEXT, origin=Origin.WEB),
    filename=Field(Form.LABEL, origin=Origin.WEB),
)
"""A citation in a text: where it points to is as untrusted as what stands there."""

_PIECE: Final = "prompt_cache_breakpoint id"
PIECES: Final[dict[str, Shape]] = {
    "input_text": Shape.of(_PIECE, text=_TEXT),
    "output_text": Shape.of(
        f"{_PIECE} logprobs parsed", text=_TEXT, annotations=Field(Form.EACH, shape=ANNOTATION)
    ),
    "text": Shape.of(f"{_PIECE} annotations logprobs", text=_TEXT),
    "summary_text": Shape.of(_PIECE, text=_TEXT),
    "reasoning_text": Shape.of(_PIECE, text=_TEXT),
    "refusal": Shape.of(_PIECE, refusal=_TEXT),
    "input_image": Shape.of(f"{_PIECE} detail file_id image_url", "an image"),
    "computer_screenshot": Shape.of(f"{_PIECE} detail file_id image_url", "an image"),
    "input_file": Shape.of(
        f"{_PIECE} detail file_id file_data file_url", "a file", filename=Field(Form.LABEL)
    ),
    "input_audio": Shape.of(f"{_PIECE} input_audio data format", "audio"),
    "output_audio": Shape.of(f"{_PIECE} data", "audio", transcript=_TEXT),
}
"""Content pieces by type."""

SHELL_OUTPUT: Final = Shape.of("outcome created_by", stdout=_result(), stderr=_result())
"""What one command of a shell call put out."""

_LOGS: Final = Shape.of("", logs=_result(), url=_media("an image"))
_RESULT: Final = Shape.of(
    "file_id score",
    text=_result(),
    filename=Field(Form.LABEL, origin=Origin.TOOL),
    attributes=_result(Form.JSON),
)
_CHECK: Final = Shape.of("id code", message=_said(Form.TEXT))
_ITEM: Final = "id status call_id created_by"
_CONTENT: Final = Field(Form.CONTENT)
_PIECES_SAID: Final = _said(Form.CONTENT)
_ERROR_TEXT: Final = _result(Form.JSON)

MESSAGE: Final = Shape.of(f"{_ITEM} role phase", content=_CONTENT)
ITEMS: Final[dict[str, Shape]] = {
    "message": MESSAGE,
    "reasoning": Shape.of(_ITEM, summary=_PIECES_SAID, content=_PIECES_SAID, encrypted_content=_SEALED),
    "function_call": Shape.of(
        f"{_ITEM} async", name=_LABEL, namespace=_LABEL, arguments=_call(), caller=_CALLER
    ),
    "function_call_output": Shape.of(
        _ITEM, output=_result(Form.CONTENT), name=_LABEL, namespace=_LABEL, caller=_CALLER
    ),
    "custom_tool_call": Shape.of(
        f"{_ITEM} async", name=_LABEL, namespace=_LABEL, input=_call(), caller=_CALLER
    ),
    "custom_tool_call_output": Shape.of(_ITEM, output=_result(Form.CONTENT), name=_LABEL, caller=_CALLER),
    "file_search_call": Shape.of(_ITEM, queries=_call(Form.TEXTS), results=_result(Form.EACH, _RESULT)),
    "web_search_call": Shape.of(
        _ITEM, action=_call(Form.JSON), results=_result(Form.JSON, origin=Origin.WEB)
    ),
    "computer_call": Shape.of(
        _ITEM,
        action=_call(Form.JSON),
        actions=_call(Form.JSON),
        pending_safety_checks=_said(Form.EACH, _CHECK),
    ),
    "computer_call_output": Shape.of(
        _ITEM, output=_result(Form.CONTENT), acknowledged_safety_checks=_said(Form.EACH, _CHECK)
    ),
    "tool_search_call": Shape.of(f"{_ITEM} execution", arguments=_call(Form.JSON)),
    "tool_search_output": Shape.of(f"{_ITEM} execution", tools=Field(Form.TOOLS, origin=Origin.TOOL)),
    "additional_tools": Shape.of(f"{_ITEM} role", tools=Field(Form.TOOLS, origin=Origin.OPERATOR)),
    "configuration_update": Shape.of(
        _ITEM,
        text=Field(Form.JSON, origin=Origin.OPERATOR),
        reasoning=Field(Form.JSON, origin=Origin.OPERATOR),
    ),
    "compaction": Shape.of(_ITEM, encrypted_content=_SEALED),
    "compaction_trigger": Shape.of(_ITEM),
    "image_generation_call": Shape.of(
        f"{_ITEM} action background output_format quality size svg_usage",
        result=_media("an image"),
        revised_prompt=_call(),
        error=_ERROR_TEXT,
    ),
    "code_interpreter_call": Shape.of(
        f"{_ITEM} container_id", code=_call(), outputs=_result(Form.EACH, _LOGS)
    ),
    "local_shell_call": Shape.of(_ITEM, action=_call(Form.JSON)),
    "local_shell_call_output": Shape.of(_ITEM, output=_result()),
    "shell_call": Shape.of(
        _ITEM,
        action=_call(Form.ONE, Shape.of("max_output_length timeout_ms", commands=_call(Form.TEXTS))),
        environment=_said(Form.JSON),
        caller=_CALLER,
    ),
    "shell_call_output": Shape.of(
        f"{_ITEM} max_output_length", output=_result(Form.EACH, SHELL_OUTPUT), caller=_CALLER
    ),
    "apply_patch_call": Shape.of(
        _ITEM, operation=_call(Form.ONE, Shape.of("", diff=_call(), path=_call())), caller=_CALLER
    ),
    "apply_patch_call_output": Shape.of(_ITEM, output=_result(), caller=_CALLER),
    "mcp_list_tools": Shape.of(
        _ITEM, tools=Field(Form.TOOLS, origin=Origin.TOOL), server_label=_LABEL, error=_ERROR_TEXT
    ),
    "mcp_approval_request": Shape.of(_ITEM, name=_LABEL, server_label=_LABEL, arguments=_call()),
    "mcp_approval_response": Shape.of(
        f"{_ITEM} approval_request_id approve", reason=Field(Form.TEXT, origin=Origin.USER)
    ),
    "mcp_call": Shape.of(
        f"{_ITEM} approval_request_id",
        name=_LABEL,
        server_label=_LABEL,
        arguments=_call(),
        output=_result(),
        error=_ERROR_TEXT,
    ),
    "program": Shape.of(f"{_ITEM} fingerprint", code=_call()),
    "program_output": Shape.of(_ITEM, result=_result()),
    "item_reference": Shape.of(_ITEM, "an item that the server keeps"),
}
"""Items by type."""
