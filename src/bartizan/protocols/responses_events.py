"""The events of a Responses stream: what each adds to the answer or states of it, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import refuse


class What(Enum):
    """What an event carries."""

    DELTA = "a piece of a text"
    TEXT = "a whole text"
    STREAMS = "pieces of a command's outputs"
    OUTPUTS = "a command's outputs"
    RESPONSE = "the answer"
    ITEM = "an item"
    PIECE = "a content piece"
    ANNOTATION = "an annotation"
    ERROR = "an error"
    MEDIA = "what nobody can judge"
    NOTHING = "no content"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of event.

    Attributes:
        what: What it carries.
        key: In which field.
        place: JSON Pointer in the answer that the field belongs at, with the names of the fields
            that hold its indices.
        call: Whether the text is a tool call's arguments.
        ends: Whether what it states is complete.
        final: Whether the client may act on the whole answer after it.
    """

    what: What
    key: str = ""
    place: str = ""
    call: bool = False
    ends: bool = False
    final: bool = False

    @property
    def indices(self) -> tuple[str, ...]:
        """The fields that the place is made of."""
        return tuple(token[1:-1] for token in self.place.split("/") if token.startswith("{"))


_ITEM: Final = "/output/{output_index}"
_PIECE: Final = f"{_ITEM}/content/{{content_index}}"
_SUMMARY: Final = f"{_ITEM}/summary/{{summary_index}}"
_COMMAND: Final = f"{_ITEM}/action/commands/{{command_index}}"
_OUTPUT: Final = f"{_ITEM}/output/{{command_index}}"


def _streamed(name: str, key: str, place: str, *, call: bool = False) -> dict[str, Kind]:
    return {
        f"response.{name}.delta": Kind(What.DELTA, "delta", place, call),
        f"response.{name}.done": Kind(What.TEXT, key, place, call, ends=True),
    }


def _stated(name: str, what: What, key: str, place: str) -> dict[str, Kind]:
    return {
        f"response.{name}.added": Kind(what, key, place),
        f"response.{name}.done": Kind(what, key, place, ends=True),
    }


def _progress(name: str, *steps: str) -> dict[str, Kind]:
    return {f"response.{name}.{step}": Kind(What.NOTHING) for step in steps}


KINDS: Final[dict[str, Kind]] = {
    **{f"response.{s}": Kind(What.RESPONSE, "response") for s in ("created", "queued", "in_progress")},
    **{
        f"response.{s}": Kind(What.RESPONSE, "response", ends=True, final=True)
        for s in ("completed", "incomplete", "failed", "cancelled")
    },
    **_stated("output_item", What.ITEM, "item", _ITEM),
    **_stated("content_part", What.PIECE, "part", _PIECE),
    **_stated("reasoning_summary_part", What.PIECE, "part", _SUMMARY),
    **_streamed("output_text", "text", f"{_PIECE}/text"),
    **_streamed("refusal", "refusal", f"{_PIECE}/refusal"),
    **_streamed("reasoning_text", "text", f"{_PIECE}/text"),
    **_streamed("reasoning_summary_text", "text", f"{_SUMMARY}/text"),
    **_streamed("function_call_arguments", "arguments", f"{_ITEM}/arguments", call=True),
    **_streamed("mcp_call_arguments", "arguments", f"{_ITEM}/arguments", call=True),
    **_streamed("custom_tool_call_input", "input", f"{_ITEM}/input", call=True),
    **_streamed("code_interpreter_call_code", "code", f"{_ITEM}/code", call=True),
    **_streamed("shell_call_command", "command", _COMMAND, call=True),
    "response.shell_call_command.added": Kind(What.TEXT, "command", _COMMAND, call=True),
    "response.shell_call_output_content.delta": Kind(What.STREAMS, "delta", _OUTPUT),
    "response.shell_call_output_content.done": Kind(What.OUTPUTS, "output", _OUTPUT, ends=True),
    "response.output_text.annotation.added": Kind(
        What.ANNOTATION, "annotation", f"{_PIECE}/annotations/{{annotation_index}}"
    ),
    "response.audio.delta": Kind(What.MEDIA, "delta", "/audio"),
    "response.audio.done": Kind(What.NOTHING),
    "response.audio.transcript.delta": Kind(What.DELTA, "delta", "/audio/transcript"),
    "response.audio.transcript.done": Kind(What.NOTHING),
    "response.image_generation_call.partial_image": Kind(What.MEDIA, "partial_image_b64", f"{_ITEM}/result"),
    **_progress("image_generation_call", "in_progress", "generating", "completed"),
    **_progress("code_interpreter_call", "in_progress", "interpreting", "completed"),
    **_progress("file_search_call", "in_progress", "searching", "completed"),
    **_progress("web_search_call", "in_progress", "searching", "completed"),
    **_progress("mcp_call", "in_progress", "completed", "failed"),
    **_progress("mcp_list_tools", "in_progress", "completed", "failed"),
    **_progress("compaction", "compacting"),
    "keepalive": Kind(What.NOTHING),
    "error": Kind(What.ERROR, "message", "/error/message", ends=True, final=True),
}
"""Every event type of the API, as OpenAI's SDK 3.54 defines them."""

_CONTENT: Final = (
    "delta text refusal arguments input code command output part item response annotation message error"
    " partial_image_b64"
)
CONTENT: Final = Fields.of(_CONTENT).known
"""Fields that carry content: one that an event's kind does not have is not understood."""

FIELDS: Final = Fields.of(
    f"{_CONTENT} name type",
    "sequence_number event_id response_id item_id output_index content_index summary_index command_index"
    " annotation_index partial_image_index logprobs obfuscation background output_format quality size"
    " status param",
)
"""The fields of all events."""


def place(kind: Kind, tree: dict[str, Any], limit: int) -> str:
    """Return where in the answer an event's content belongs.

    Raises:
        ProtocolError: An index is not a small number.
    """
    found = kind.place
    for name in kind.indices:
        index = tree.get(name, 0)  # some servers leave out the only one there is
        if type(index) is not int or not 0 <= index < limit:
            refuse("an index is not a small number")
        found = found.replace("{" + name + "}", str(index), 1)
    return found
