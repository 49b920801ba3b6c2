"""Reads the items of a Responses message into parts, by the table in ``responses_shapes``."""

from __future__ import annotations

from typing import Any

from bartizan.protocols.gathered import Gathered, refuse
from bartizan.protocols.json_guard import encode_json
from bartizan.protocols.responses_shapes import ITEMS, MESSAGE, PIECES, Field, Form, Shape
from bartizan.types import Origin, PartKind

UNKNOWN_TYPE = "content of an unknown type"
_ORIGINS = {
    "system": Origin.OPERATOR,
    "developer": Origin.OPERATOR,
    "user": Origin.USER,
    "assistant": Origin.MODEL,
}
_CREDENTIALS = frozenset({"authorization", "headers"})
"""What a definition holds for the upstream's eyes only."""


class ItemReader:
    """Reads items one after the other.

    In a request each text keeps the origin it has: what a tool or a page said is less trusted
    than what the model said. In an answer everything comes from the upstream, and all of it is
    judged as the model's.

    Args:
        gathered: Where the parts go.
        answer: Whether the items are an answer's.
    """

    __slots__ = ("_answer", "_called", "_gathered")

    def __init__(self, gathered: Gathered, *, answer: bool) -> None:
        self._gathered = gathered
        self._answer = answer
        self._called: dict[str, str] = {}

    def items(self, items: Any, where: str) -> None:
        """Read a list of items.

        Raises:
            ProtocolError: Something has not the form that the protocol gives it.
        """
        if type(items) is not list:
            refuse("the items are not a list", where)
        self._gathered.spend(len(items), where)
        for index, item in enumerate(items):
            self.item(item, f"{where}/{index}")

    def item(self, item: Any, where: str) -> None:
        """Read one item; errors as in :meth:`items`."""
        if type(item) is not dict:
            refuse("an item is not an object", where)
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference"
        if type(kind) is not str:
            refuse("the type of an item is not a string", f"{where}/type")
        shape = ITEMS.get(kind)
        if shape is None:
            self._gathered.skip(where, UNKNOWN_TYPE)
            return
        origin = self._speaker(item, where) if shape is MESSAGE else Origin.MODEL
        self.object(item, shape, where, origin, self._tool(item))

    def piece(self, piece: Any, where: str, kind: PartKind, origin: Origin, name: str = "") -> None:
        """Read one content piece; errors as in :meth:`items`."""
        if type(piece) is not dict:
            refuse("a content piece is not an object", where)
        media = piece.get("type")
        if media is not None and type(media) is not str:
            refuse("the type of a content piece is not a string", f"{where}/type")
        shape = PIECES.get("text" if media is None else media)
        if shape is None:
            self._gathered.skip(where, UNKNOWN_TYPE)
            return
        self.object(piece, shape, where, origin, name, kind)

    def object(
        self,
        tree: dict[str, Any],
        shape: Shape,
        where: str,
        origin: Origin,
        name: str = "",
        kind: PartKind = PartKind.TEXT,
    ) -> None:
        """Read an object of a known shape.

        Args:
            tree: The object.
            shape: What it holds.
            where: JSON Pointer of it.
            origin: Who speaks, for fields that don't say.
            name: The tool that a call or a result belongs to.
            kind: What texts are that don't say more than that.
        """
        if shape.why:
            self._gathered.skip(where, shape.why)
        self._gathered.fields(tree, shape.known, where)
        for key, field in shape.reads.items():
            value = tree.get(key)
            if value is not None and value != "":
                whose = origin if field.origin is None else field.origin
                what = kind if field.kind is PartKind.TEXT else field.kind
                self._field(value, field, f"{where}/{key}", what, whose, name)

    def _field(self, value: Any, field: Field, where: str, kind: PartKind, origin: Origin, name: str) -> None:
        form = field.form
        if form is Form.TEXT:
            self.text(kind, origin, where, value, name)
        elif form is Form.CONTENT:
            self.content(value, where, kind, origin, name)
        elif form is Form.JSON:
            self._json(kind, origin, where, value, name)
        elif form is Form.LABEL:
            if type(value) is not str:
                refuse("a name is not a string", where)
            self._gathered.label(Origin.MODEL if self._answer else origin, where, value)
        elif form is Form.ONE:
            if type(value) is not dict:
                refuse("a field is not an object", where)
            self.object(value, _shape(field), where, origin, name, kind)
        elif form is Form.MEDIA:
            self._gathered.skip(where, field.why)
        elif form is Form.SEALED:
            if not self._answer:  # to who gets the answer it says nothing
                self._gathered.skip(where, field.why)
        else:
            self._list(value, field, where, kind, origin, name)

    def _list(self, value: Any, field: Field, where: str, kind: PartKind, origin: Origin, name: str) -> None:
        if type(value) is not list:
            refuse("a field is not a list", where)
        self._gathered.spend(len(value), where)
        for index, entry in enumerate(value):
            place = f"{where}/{index}"
            if field.form is Form.TEXTS:
                self.text(kind, origin, place, entry, name)
                continue
            if type(entry) is not dict:
                refuse("an entry of a list is not an object", place)
            if field.form is Form.TOOLS:
                self.definition(entry, place, origin)
            else:
                self.object(entry, _shape(field), place, origin, name, kind)

    def content(self, value: Any, where: str, kind: PartKind, origin: Origin, name: str = "") -> None:
        """Read a content: a string, one piece or a list of them; errors as in :meth:`items`."""
        if type(value) is str:
            self.text(kind, origin, where, value, name)
        elif type(value) is dict:
            self.piece(value, where, kind, origin, name)
        elif type(value) is list:
            self._gathered.spend(len(value), where)
            for index, piece in enumerate(value):
                self.piece(piece, f"{where}/{index}", kind, origin, name)
        else:
            refuse("content is neither a string nor a list of pieces", where)

    def text(self, kind: PartKind, origin: Origin, where: str, text: Any, name: str = "") -> None:
        """Add a text; an empty one is none.

        Raises:
            ProtocolError: It is not a string.
        """
        if type(text) is not str:
            refuse("a text is not a string", where)
        if not text:
            return
        if self._answer:
            kind, origin = (kind if kind is PartKind.TOOL_CALL else PartKind.TEXT), Origin.MODEL
        self._gathered.text(kind, origin, where, text, name)

    def definition(self, tool: dict[str, Any], where: str, origin: Origin) -> None:
        """Add the definition of a tool: name, description and schema, or all that is written.

        Raises:
            ProtocolError: It has no name, or its description is not a string.
        """
        kind = tool.get("type")
        if kind in ("function", "custom") or "input_schema" in tool:
            name, description = tool.get("name"), tool.get("description")
            if type(name) is not str or not name:
                refuse("a tool definition has no name", f"{where}/name")
            if description is not None and type(description) is not str:
                refuse("the description of a tool is not a string", f"{where}/description")
            rest = {k: v for k, v in tool.items() if k not in _PLAIN and v is not None}
            shape = encode_json(rest).decode() if rest else ""
            text = "\n".join(piece for piece in (name, description, shape) if piece)
        elif type(kind) is str:
            name = kind
            text = encode_json({k: v for k, v in tool.items() if k not in _CREDENTIALS}).decode()
        else:
            refuse("a tool has no type", f"{where}/type")
        if self._answer:
            self.text(PartKind.TEXT, origin, where, text)
        else:
            self._gathered.text(PartKind.TOOL_DEFINITION, origin, where, text, name)

    def _json(self, kind: PartKind, origin: Origin, where: str, value: Any, name: str) -> None:
        text = value if type(value) is str else encode_json(value).decode()
        if value not in ({}, []):
            self.text(kind, origin, where, text, name)

    def _speaker(self, item: dict[str, Any], where: str) -> Origin:
        role = item.get("role")
        if type(role) is not str:
            refuse("a message has no role", f"{where}/role", hint="use system, developer, user or assistant")
        # A role nobody knows gets the least trusted origin: everything judges it.
        return _ORIGINS.get(role, Origin.WEB)

    def _tool(self, item: dict[str, Any]) -> str:
        """Return the name of the tool that an item is about, as far as it is known."""
        name, call = item.get("name"), item.get("call_id")
        if type(call) is str:
            if type(name) is str:
                self._called[call] = name
            return self._called.get(call, "")
        return name if type(name) is str else ""


_PLAIN = frozenset({"type", "name", "description", "strict", "allowed_callers", "async", "defer_loading"})


def _shape(field: Field) -> Shape:
    return field.shape or _EMPTY


_EMPTY = Shape.of()
