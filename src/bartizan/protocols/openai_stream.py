"""Reads a streamed chat answer, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bartizan.errors import ProtocolError
from bartizan.ports import Chunk
from bartizan.protocols.fields import Fields, unknown
from bartizan.protocols.gathered import UNKNOWN_FIELD, refuse
from bartizan.protocols.json_guard import decode_json, encode_json
from bartizan.protocols.limits import Limits, is_label
from bartizan.protocols.openai_error import openai_error
from bartizan.protocols.openai_response import CHOICE, TOP
from bartizan.protocols.pointer import missing
from bartizan.protocols.sse import Event, EventSplitter, taken_apart

DONE = b"[DONE]"
NOT_UNDERSTOOD = (("", "event not understood"),)
SPOKEN = ("content", "reasoning_content", "reasoning", "refusal")
COPIES = ("logprobs", "token_ids")
"""Fields of a choice that repeat its text; they go when the text is replaced."""

_DELTA = Fields.of("content refusal tool_calls function_call reasoning_content reasoning", "role")
_CALL = Fields.of("function custom", "id type index extra_content")
_CALLED = Fields.of("name arguments input")
_ROLES = frozenset({"assistant", "tool", "function", "system", "developer", "user", ""})
_CALL_FORMS = (("function", "arguments"), ("custom", "input"))
_ERROR = "/error/message"

Delta = tuple[str, str, str]
Opaque = tuple[str, str]


class ChatStreamReader:
    """Implements :class:`bartizan.ports.StreamReader` for ``chat.completion.chunk`` events.

    Attributes:
        names: Tool names by the path of their arguments, as far as the stream has told them.
    """

    def __init__(self, limits: Limits) -> None:
        self.names: dict[str, str] = {}
        self._limits = limits
        self._splitter = EventSplitter(limits.event_bytes)
        self._head: dict[str, Any] = {}
        self._open: dict[int, bool] = {}

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
        others, data = taken_apart(chunk.raw)
        if all(path != there for there, _, _ in chunk.deltas):
            raise missing()
        tree = decode_json(data, depth=self._limits.depth)
        _replace(tree, path, text)
        return others + b"data: " + encode_json(tree) + b"\n\n"

    def cut(self, record_id: str, message: str) -> bytes:
        """Return a last chunk that finishes every open choice with ``content_filter``, and the end."""
        still_open = [index for index, is_open in self._open.items() if is_open]
        chunk = {
            "id": self._head.get("id", f"chatcmpl-{record_id}"),
            "object": "chat.completion.chunk",
            "created": self._head.get("created", 0),
            "model": self._head.get("model", ""),
            "choices": [
                {"index": index, "delta": {}, "logprobs": None, "finish_reason": "content_filter"}
                for index in still_open or self._open or (0,)
            ],
            "bartizan": {"record_id": record_id, "message": message},
        }
        return b"data: " + encode_json(chunk) + b"\n\ndata: " + DONE + b"\n\n"

    def failed(self, code: str, message: str, record_id: str) -> bytes:
        """Return an error event, at which OpenAI's SDKs raise."""
        reply = openai_error(502, code, message, record_id=record_id, param=None)
        return b"data: " + reply.body + b"\n\n"

    def _chunk(self, event: Event) -> Chunk:
        data = event.data
        if not data:
            return Chunk(event.raw)
        if data == DONE:
            return Chunk(event.raw, (), True)
        deltas: list[Delta] = []
        opaque: list[Opaque] = []
        try:
            tree = decode_json(data, depth=self._limits.depth)
            final = self._read(tree, deltas, opaque)
        except ProtocolError:
            # What was read before the odd place still counts; it may also end the answer.
            return Chunk(event.raw, tuple(deltas), True, NOT_UNDERSTOOD)
        return Chunk(event.raw, tuple(deltas), final, tuple(opaque))

    def _read(self, tree: Any, deltas: list[Delta], opaque: list[Opaque]) -> bool:
        """Read one event; return whether the client may act on the answer after it."""
        if type(tree) is not dict:
            refuse("an event is not an object")
        if tree.get("error") is not None:
            return _read_error(tree, deltas)
        choices = tree.get("choices")
        if type(choices) is not list:
            refuse("an event has no choices")
        _note_unknown(tree, TOP, "", opaque)
        if len(self._head) < 3:
            self._note_head(tree)
        final = False
        for position, choice in enumerate(choices):
            if type(choice) is not dict:
                refuse("a choice is not an object")
            index = choice.get("index", position)
            self._check_index(index)
            where = f"/choices/{index}"
            _note_unknown(choice, CHOICE, where, opaque)
            delta = choice.get("delta")
            if delta:
                self._read_delta(delta, f"{where}/message", deltas, opaque)
            ended = choice.get("finish_reason") is not None
            self._open[index] = not ended and self._open.get(index, True)
            final = final or ended
            if choice.get("message") is not None:
                opaque.append((f"{where}/message", "a whole message in a stream"))
        return final

    def _read_delta(self, delta: Any, where: str, deltas: list[Delta], opaque: list[Opaque]) -> None:
        if type(delta) is not dict:
            refuse("a delta is not an object")
        for key in SPOKEN:
            text = delta.get(key)
            if text:
                if type(text) is not str:
                    refuse("a delta is not a string")
                deltas.append((f"{where}/{key}", "text", text))
        if not delta.keys() <= _PLAIN_DELTA:
            _note_unknown(delta, _DELTA, where, opaque)
            role = delta.get("role")
            if role is not None and (type(role) is not str or role not in _ROLES):
                opaque.append((f"{where}/role", "an unknown role"))
            self._read_calls(delta, where, deltas, opaque)

    def _read_calls(
        self, delta: dict[str, Any], where: str, deltas: list[Delta], opaque: list[Opaque]
    ) -> None:
        called = delta.get("function_call")
        if called is not None:
            self._read_called(called, "arguments", f"{where}/function_call", deltas, opaque)
        calls = delta.get("tool_calls") or ()
        if type(calls) not in (list, tuple):
            refuse("tool_calls is not a list")
        for position, call in enumerate(calls):
            if type(call) is not dict:
                refuse("a tool call is not an object")
            index = call.get("index", position)
            self._check_index(index)
            path = f"{where}/tool_calls/{index}"
            _note_unknown(call, _CALL, path, opaque)
            for form, field in _CALL_FORMS:
                if call.get(form) is not None:
                    self._read_called(call[form], field, f"{path}/{form}", deltas, opaque)

    def _read_called(
        self, called: Any, field: str, path: str, deltas: list[Delta], opaque: list[Opaque]
    ) -> None:
        if type(called) is not dict:
            refuse("a called tool is not an object")
        _note_unknown(called, _CALLED, path, opaque)
        name, text, place = called.get("name"), called.get(field), f"{path}/{field}"
        if name:
            if type(name) is not str or not is_label(name):
                opaque.append((f"{path}/name", "a tool name that is no identifier"))
            elif len(self.names) < self._limits.choices:
                self.names.setdefault(place, name)
        if text:
            if type(text) is not str:
                refuse("the arguments of a tool call are not a string")
            deltas.append((place, "tool-call", text))

    def _check_index(self, index: Any) -> None:
        if type(index) is not int or not 0 <= index < self._limits.choices:
            refuse("an index is not a small number")

    def _note_head(self, tree: dict[str, Any]) -> None:
        for key, kind in (("id", str), ("model", str), ("created", int)):
            if type(tree.get(key)) is kind:
                self._head.setdefault(key, tree[key])


_PLAIN_DELTA = frozenset(SPOKEN)


def _note_unknown(tree: dict[str, Any], fields: Fields, where: str, opaque: list[Opaque]) -> None:
    if not tree.keys() <= fields.known:
        opaque.extend((pointer, UNKNOWN_FIELD) for pointer, _ in unknown(tree, fields, where))


def _read_error(tree: dict[str, Any], deltas: list[Delta]) -> bool:
    """Read an upstream's complaint in the middle of a stream: its message is text like any other."""
    error = tree["error"]
    message = error.get("message") if type(error) is dict else error
    if type(message) is not str or tree.get("choices"):
        refuse("an error event is not understood")
    if message:
        deltas.append((_ERROR if type(error) is dict else "/error", "text", message))
    return True


def _replace(tree: Any, path: str, text: str) -> None:
    """Replace the first delta at a path and empty the others, if an event has several."""
    places: list[tuple[dict[str, Any], str]] = []
    if path == "/error":
        places.append((tree, "error"))
    elif path == _ERROR:
        places.append((tree["error"], "message"))
    else:
        _, _, number, _, *rest = path.split("/")
        for choice in _matching(tree["choices"], number):
            found = [(where, rest[-1]) for where in _holders(choice.get("delta"), rest)]
            if found:
                places.extend(found)
                for copy in COPIES:
                    choice.pop(copy, None)
    for position, (where, key) in enumerate(places):
        where[key] = "" if position else text


def _holders(delta: Any, rest: list[str]) -> list[dict[str, Any]]:
    """Return the objects of a delta in which the last token of a path is a key."""
    if type(delta) is not dict:
        return []
    held: list[Any] = [delta]
    if rest[0] == "tool_calls":
        held = [call.get(rest[2]) for call in _matching(delta.get("tool_calls"), rest[1])]
    elif rest[0] == "function_call":
        held = [delta.get("function_call")]
    return [where for where in held if type(where) is dict and where.get(rest[-1])]


def _matching(entries: Any, number: str) -> list[dict[str, Any]]:
    """Return the entries with an index; those without one are counted by their position."""
    if type(entries) is not list:
        return []
    found = enumerate(entries)
    return [e for position, e in found if type(e) is dict and str(e.get("index", position)) == number]
