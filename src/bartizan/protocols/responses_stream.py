"""Reads a streamed Responses answer, event by event.

The same text stands in several events: in pieces, and then in full up to four times. Pieces are
deltas of the text; where it stands in full, the chunk says so (``Chunk.whole``), and only what
was not said before counts as new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk, ParsedRequest
from bartizan.protocols.fields import unknown
from bartizan.protocols.gathered import UNKNOWN_FIELD, Gathered, refuse
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits, is_label
from bartizan.protocols.pointer import missing, tokens
from bartizan.protocols.responses_events import CONTENT, FIELDS, KINDS, Kind, What, place
from bartizan.protocols.responses_items import ItemReader
from bartizan.protocols.responses_response import instructions_of, read_error, read_tree
from bartizan.protocols.responses_rewrite import COPIES, replace_at
from bartizan.protocols.responses_said import Said
from bartizan.protocols.responses_shapes import ANNOTATION, SHELL_OUTPUT
from bartizan.protocols.sse import Event, EventSplitter, taken_apart
from bartizan.types import Origin, PartKind

DONE = b"[DONE]"
NOT_UNDERSTOOD = (("", "event not understood"),)
_HEAD: dict[str, type | tuple[type, ...]] = {"id": str, "created_at": (int, float), "model": str}
_EMPTY_RESPONSE: dict[str, Any] = {
    "object": "response",
    "error": None,
    "instructions": None,
    "metadata": {},
    "output": [],
    "parallel_tool_calls": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "usage": None,
}


class ResponsesStreamReader:
    """Implements :class:`bartizan.ports.StreamReader` for the events of ``/v1/responses``.

    Args:
        request: What the client asked: an answer repeats its instructions.
        limits: How much one event and one answer may hold.
    """

    def __init__(self, request: ParsedRequest, limits: Limits) -> None:
        self._limits = limits
        self._splitter = EventSplitter(limits.event_bytes)
        self._instructions = instructions_of(request)
        self._said = Said(limits.pieces)
        self._head: dict[str, Any] = {}
        self._next = 0

    def receive_data(self, data: bytes) -> Sequence[Chunk]:
        """Take bytes, return the chunks that are now complete."""
        return [self._chunk(event) for event in self._splitter.receive_data(data)]

    def end_of_stream(self) -> Sequence[Chunk]:
        """Return what is left; an unfinished event is judged as if it were complete."""
        return [self._chunk(event) for event in self._splitter.end_of_stream()]

    def rewritten(self, chunk: Chunk, path: str, text: str) -> bytes:
        """Return the chunk's bytes with the text at ``path`` replaced: a piece, or the whole.

        The result is one event with the same fields, the data on one line. It may be put in
        a chunk and rewritten again for another path.

        Raises:
            ProtocolError: The chunk has no such text.
        """
        others, data = taken_apart(chunk.raw)
        named = {p for p, _, _ in chunk.deltas} | {p for p, _ in chunk.whole}
        if path not in named:
            raise missing()
        tree = decode_json(data, depth=self._limits.depth)
        self._replace(tree, self._said.place(path), text)
        return others + b"data: " + encode_json(tree) + b"\n\n"

    def cut(self, record_id: str, message: str) -> bytes:
        """Return the event of an answer that a content filter left incomplete."""
        response = {
            **_EMPTY_RESPONSE,
            "id": self._head.get("id", f"resp_{record_id}"),
            "created_at": self._head.get("created_at", 0),
            "model": self._head.get("model", ""),
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "bartizan": {"record_id": record_id, "message": message},
        }
        return self._ending("response.incomplete", {"response": response})

    def failed(self, code: str, message: str, record_id: str) -> bytes:
        """Return an error event, at which OpenAI's SDKs raise."""
        words = f"{message}; record {record_id}"
        error = {"type": "server_error", "code": code, "message": words, "param": None}
        return self._ending("error", {"code": code, "message": words, "param": None, "error": error})

    def _ending(self, name: str, fields: dict[str, Any]) -> bytes:
        data = encode_json({"type": name, "sequence_number": self._next, **fields})
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"

    def _chunk(self, event: Event) -> Chunk:
        if not event.data:
            return Chunk(event.raw)
        if event.data == DONE:
            return Chunk(event.raw, (), True)
        reading = _Reading(self._said, Gathered(self._limits))
        try:
            tree = decode_json(event.data, depth=self._limits.depth)
            kind = self._read(tree, reading)
        except ProtocolError:
            # What was read before the odd place still counts; it may also end the answer.
            return Chunk(event.raw, tuple(reading.deltas), True, NOT_UNDERSTOOD, tuple(reading.whole))
        return Chunk(
            event.raw,
            tuple(reading.deltas),
            kind.final,
            tuple(reading.gathered.unjudged),
            tuple(reading.whole),
            kind.ends,
        )

    def _read(self, tree: Any, reading: _Reading) -> Kind:
        if type(tree) is not dict:
            refuse("an event is not an object")
        name = tree.get("type")
        if name is None and tree.get("error") is not None:
            name = "error"
        kind = KINDS.get(name) if type(name) is str else None
        if kind is None:
            refuse("an event has an unknown type")
        number = tree.get("sequence_number")
        if type(number) is int:
            self._next = number + 1
        reading.fields(tree, kind)
        where = place(kind, tree, self._limits.pieces)
        if kind.what is What.DELTA:
            reading.add(where, kind, tree.get(kind.key))
        elif kind.what is What.ERROR:
            reading.error(tree)
        elif tree.get(kind.key) is not None:
            if kind.what is What.RESPONSE:
                self._note_head(tree["response"])
            reading.state(kind, tree[kind.key], where, self._instructions)
        return kind

    def _note_head(self, response: Any) -> None:
        if type(response) is dict:
            for key, types in _HEAD.items():
                if isinstance(response.get(key), types):
                    self._head.setdefault(key, response[key])

    def _replace(self, tree: dict[str, Any], path: str, text: str) -> None:
        name = tree.get("type", "error")
        kind = KINDS.get(name) if type(name) is str else None
        if kind is None:
            raise missing()
        where = place(kind, tree, self._limits.pieces)
        if kind.what is What.ERROR:
            replace_at(tree, tokens(path), text)
        else:
            replace_at(tree, [kind.key, *tokens(path[len(where) :])], text)
            if tree.get(COPIES):
                tree[COPIES] = []


class _Reading:
    """What one event adds and states."""

    __slots__ = ("_said", "deltas", "gathered", "whole")

    def __init__(self, said: Said, gathered: Gathered) -> None:
        self._said = said
        self.gathered = gathered
        self.deltas: list[tuple[str, str, str]] = []
        self.whole: list[tuple[str, str]] = []

    def fields(self, tree: dict[str, Any], kind: Kind) -> None:
        """Note fields that are not understood."""
        if not tree.keys() <= FIELDS.known:
            for pointer, _ in unknown(tree, FIELDS, ""):
                self.gathered.skip(pointer, UNKNOWN_FIELD)
        for key in (tree.keys() & CONTENT) - {kind.key}:
            if tree[key] and not (kind.what is What.ERROR and key == "error"):
                self.gathered.skip(f"/{key}", UNKNOWN_FIELD)
        name = tree.get("name")
        if name is not None and (type(name) is not str or not is_label(name)):
            self.gathered.skip("/name", "a tool name that is no identifier")

    def add(self, where: str, kind: Kind, text: Any) -> None:
        """Take a piece of a text."""
        if text is not None and type(text) is not str:
            refuse("a delta is not a string")
        if text:
            self._said.add(where, text)
            self.deltas.append((where, "tool-call" if kind.call else "text", text))

    def error(self, tree: dict[str, Any]) -> None:
        """Take an upstream's complaint."""
        reader = ItemReader(self.gathered, answer=True)
        if tree.get("error") is not None:
            read_error(tree["error"], "/error", reader, self.gathered)
        if tree.get("message") is not None:
            reader.text(PartKind.TEXT, Origin.MODEL, "/message", tree["message"])
        self._take()

    def state(self, kind: Kind, value: Any, where: str, instructions: str) -> None:
        """Take what an event states in full."""
        reader = ItemReader(self.gathered, answer=True)
        if kind.what is What.TEXT:
            called = PartKind.TOOL_CALL if kind.call else PartKind.TEXT
            reader.text(called, Origin.MODEL, where, value)
        elif kind.what is What.RESPONSE:
            read_tree(value, reader, self.gathered, instructions)
        elif kind.what is What.ITEM:
            reader.item(value, where)
        elif kind.what is What.PIECE:
            reader.piece(value, where, PartKind.TEXT, Origin.MODEL)
        elif kind.what is What.MEDIA:
            self.gathered.skip(where, "audio" if where == "/audio" else "an image")
        else:
            self._objects(kind, value, where, reader)
        self._take()

    def _objects(self, kind: Kind, value: Any, where: str, reader: ItemReader) -> None:
        if kind.what is What.STREAMS:
            if type(value) is not dict:
                refuse("the outputs are not an object")
            self.gathered.fields(value, SHELL_OUTPUT.known, where)
            for key in ("stdout", "stderr"):
                self.add(f"{where}/{key}", kind, value.get(key))
            return
        values = value if kind.what is What.OUTPUTS else [value]
        if type(values) is not list:
            refuse("the outputs are not a list")
        for index, entry in enumerate(values):
            if type(entry) is not dict:
                refuse("an entry is not an object")
            if kind.what is What.OUTPUTS:
                reader.object(entry, SHELL_OUTPUT, f"{where}/{index}", Origin.MODEL)
            else:
                reader.object(entry, ANNOTATION, where, Origin.MODEL)

    def _take(self) -> None:
        for part in self.gathered.parts:
            called = "tool-call" if part.kind is PartKind.TOOL_CALL else "text"
            name, new = self._said.state(part.path, part.text)
            self.whole.append((name, part.text))
            if new:
                self.deltas.append((name, called, new))
