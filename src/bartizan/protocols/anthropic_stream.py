"""Reads a streamed Messages answer, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk
from bartizan.protocols.anthropic_blocks import UNKNOWN_BLOCK, Blocks
from bartizan.protocols.anthropic_edit import replace_text
from bartizan.protocols.anthropic_error import error_body
from bartizan.protocols.anthropic_response import MESSAGE, read_ending
from bartizan.protocols.fields import Fields
from bartizan.protocols.gathered import Gathered, refuse
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits
from bartizan.protocols.pointer import missing, tokens
from bartizan.protocols.sse import Event, EventSplitter, taken_apart
from bartizan.types import Origin, PartKind

NOT_UNDERSTOOD: Final = (("", "event not understood"),)
PIECES: Final = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
    "compaction_delta": ("content", "content"),
}
"""By type of delta: the field that holds its text, and the field of the block that it adds to."""
STATED: Final = "stated"
"""Token for an input that a block begins with: what follows replaces it, and doesn't go on with it."""

_NONE: Final = -1
"""In the place of a block's index: none."""

_EVENT: Final = Fields.of(
    "type message content_block delta error index",
    "usage context_management input_transformations request_id bartizan",
)
_DELTA: Final = Fields.of("type text thinking partial_json content citation signature encrypted_content")
_ENDING: Final = Fields.of("stop_details stop_sequence", "stop_reason container")
_ERROR: Final = Fields.of("message type", "code param details")


class MessagesStreamReader:
    """Implements :class:`bartizan.ports.StreamReader` for the events of a Messages stream."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._splitter = EventSplitter(limits.event_bytes)
        self._open: set[int] = set()
        self._citations: dict[int, int] = {}
        self._grown: dict[int, dict[str, None]] = {}

    def receive_data(self, data: bytes) -> Sequence[Chunk]:
        """Take bytes, return the chunks that are now complete."""
        return [self._chunk(event) for event in self._splitter.receive_data(data)]

    def end_of_stream(self) -> Sequence[Chunk]:
        """Return what is left; an unfinished event is judged as if it were complete."""
        return [self._chunk(event) for event in self._splitter.end_of_stream()]

    def rewritten(self, chunk: Chunk, path: str, text: str) -> bytes:
        """Return the chunk's bytes with the delta at ``path`` replaced.

        The result is one event with the same fields, the data on one line. It may be put in
        a chunk and rewritten again for another path.

        Raises:
            ProtocolError: The chunk has no such delta.
        """
        if all(path != there for there, _, _ in chunk.deltas):
            raise missing()
        others, data = taken_apart(chunk.raw)
        tree = decode_json(data, depth=self._limits.depth)
        replace_text(tree, _place(tree, tokens(path)), text)
        return others + b"data: " + encode_json(tree) + b"\n\n"

    def cut(self, record_id: str, message: str) -> bytes:
        """Return an error event, at which Anthropic's SDKs raise: half an answer is no answer."""
        return _failure(400, "content_filter", f"{message}; record {record_id}", record_id)

    def failed(self, code: str, message: str, record_id: str) -> bytes:
        """Return an error event, at which Anthropic's SDKs raise."""
        return _failure(502, code, message, record_id)

    def _chunk(self, event: Event) -> Chunk:
        if not event.data:
            return Chunk(event.raw)
        gathered = Gathered(self._limits)
        try:
            tree = decode_json(event.data, depth=self._limits.depth)
            final, ended = self._read(tree, gathered)
        except ProtocolError:
            # What was read before the odd place still counts; it may also end the answer.
            return Chunk(event.raw, _deltas(gathered), True, NOT_UNDERSTOOD)
        # A block's end states no text; it only says that nothing is added to the block's.
        whole = tuple((path, "") for path in self._grown.pop(ended, ()))
        return Chunk(event.raw, _deltas(gathered), final, gathered.unjudged, whole, bool(whole))

    def _read(self, tree: Any, gathered: Gathered) -> tuple[bool, int]:
        """Read one event; return whether the client may act after it, and which block has ended."""
        if type(tree) is not dict:
            refuse("an event is not an object")
        form = tree.get("type")
        gathered.fields(tree, _EVENT, "")
        blocks = Blocks(gathered, answer=True)
        if form == "content_block_delta":
            self._read_delta(self._index(tree), tree.get("delta"), gathered, blocks)
        elif form == "content_block_start":
            self._read_start(self._index(tree), tree.get("content_block"), gathered, blocks)
        elif form == "content_block_stop":
            index = self._index(tree)
            self._open.discard(index)
            return False, index
        elif form == "message_start":
            _read_message(tree.get("message"), gathered, blocks)
        elif form == "message_delta":
            ending = tree.get("delta")
            if type(ending) is not dict:
                refuse("a delta is not an object")
            gathered.fields(ending, _ENDING, "")
            read_ending(blocks, ending)
            return True, _NONE
        elif form == "error":
            _read_error(tree.get("error"), gathered, blocks)
            return True, _NONE
        elif form == "message_stop":
            return True, _NONE
        elif form != "ping":
            refuse("an event of an unknown type")
        return False, _NONE

    def _read_start(self, index: int, block: Any, gathered: Gathered, blocks: Blocks) -> None:
        self._open.add(index)
        where = f"/content/{index}"
        blocks.block(block, where, PartKind.TEXT, Origin.MODEL)
        cited = block.get("citations")
        self._citations[index] = len(cited) if type(cited) is list else 0
        called = f"{where}/input"
        gathered.parts[:] = [
            msgspec.structs.replace(p, path=f"{where}/{STATED}/input") if p.path == called else p
            for p in gathered.parts
            if p.path != called or p.text != "{}"
        ]
        self._note(index, gathered)

    def _read_delta(self, index: int, delta: Any, gathered: Gathered, blocks: Blocks) -> None:
        if type(delta) is not dict:
            refuse("a delta is not an object")
        where, form = f"/content/{index}", delta.get("type")
        if index not in self._open:
            gathered.skip(where, "a delta for a block that is not open")
        gathered.fields(delta, _DELTA, where)
        piece = PIECES.get(form) if type(form) is str else None
        if piece is not None:
            field, place = piece
            kind = PartKind.TOOL_CALL if place == "input" else PartKind.TEXT
            blocks.text(kind, Origin.MODEL, f"{where}/{place}", delta.get(field))
            if delta.get("encrypted_content"):
                blocks.walk({"encrypted_content": True}, where, kind, Origin.MODEL)
        elif form == "citations_delta":
            number = self._citations.get(index, 0)
            self._citations[index] = number + 1
            path = f"{where}/citations/{number}"
            blocks.walk(delta.get("citation"), path, PartKind.TEXT, Origin.MODEL)
        elif form == "signature_delta":
            blocks.walk({"signature": delta.get("signature")}, where, PartKind.TEXT, Origin.MODEL)
        else:
            gathered.skip(where, UNKNOWN_BLOCK)
        self._note(index, gathered)

    def _note(self, index: int, gathered: Gathered) -> None:
        grown = self._grown.setdefault(index, {})
        if len(grown) < self._limits.pieces:
            grown.update((p.path, None) for p in gathered.parts)

    def _index(self, tree: dict[str, Any]) -> int:
        index = tree.get("index")
        if type(index) is not int or not 0 <= index < self._limits.choices:
            refuse("an index is not a small number")
        return index


def _deltas(gathered: Gathered) -> tuple[tuple[str, str, str], ...]:
    """Return what an event adds."""
    return tuple(
        (p.path, "tool-call" if p.kind is PartKind.TOOL_CALL else "text", p.text) for p in gathered.parts
    )


def _read_message(message: Any, gathered: Gathered, blocks: Blocks) -> None:
    if type(message) is not dict:
        refuse("a message is not an object")
    gathered.fields(message, MESSAGE, "/message")
    if message.get("content"):
        gathered.skip("/content", "a whole message in a stream")
    read_ending(blocks, message)


def _read_error(error: Any, gathered: Gathered, blocks: Blocks) -> None:
    """Read an upstream's complaint in the middle of a stream: its message is text like any other."""
    if type(error) is not dict:
        refuse("an error event is not understood")
    gathered.fields(error, _ERROR, "/error")
    blocks.text(PartKind.TEXT, Origin.MODEL, "/error/message", error.get("message"))


def _place(tree: dict[str, Any], path: list[str]) -> list[str]:
    """Return where in an event the text of a path stands."""
    form = tree["type"]
    if form == "error":
        return path
    if form == "message_start":
        return ["message", *path]
    if form == "message_delta":
        return ["delta", *path]
    field = path[2:]
    if form == "content_block_start":
        return ["content_block", *(field[1:] if field[0] == STATED else field)]
    if field[0] == "citations":
        return ["delta", "citation", *field[2:]]
    piece = PIECES.get(tree["delta"]["type"])
    return ["delta", piece[0] if piece is not None else field[0]]


def _failure(status: int, code: str, message: str, record_id: str) -> bytes:
    body = error_body(status, code, message, record_id=record_id, param=None)
    return b"event: error\ndata: " + encode_json(body) + b"\n\n"
