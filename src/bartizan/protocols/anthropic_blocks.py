"""Reads content blocks, which requests, answers and streams of the Messages protocol share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bartizan.protocols.fields import MAX_KEY_CHARS, Fields, below
from bartizan.protocols.gathered import Gathered, refuse
from bartizan.protocols.json_guard import encode_json
from bartizan.types import Origin, PartKind

SEALED: Final = "content that only the provider can read"
UNKNOWN_BLOCK: Final = "content of an unknown type"

_CALL: Final = Fields.of("type id name input", "cache_control caller toolset_name server_name")
_RESULT: Final = Fields.of("type content", "tool_use_id cache_control caller is_error toolset_name")
_FIELDS: Final = {
    "text": Fields.of("type text citations", "cache_control"),
    "thinking": Fields.of("type thinking signature", "cache_control"),
    "document": Fields.of("type source title context", "cache_control citations"),
    "search_result": Fields.of("type content source title", "cache_control citations"),
    "compaction": Fields.of("type content encrypted_content signature tool_changes", "cache_control"),
    "tool_addition": Fields.of("type tool", "cache_control"),
    "mcp_tool_listing": Fields.of("type mcp_server_name tools", "cache_control"),
}
_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_OWN_RESULTS: Final = frozenset({"tool_result", "mcp_tool_result"})
# What the provider's own tools bring back, and whether it comes from anywhere on the web.
_RESULTS: Final = {
    "web_search_tool_result": Origin.WEB,
    "web_fetch_tool_result": Origin.WEB,
    "code_execution_tool_result": Origin.TOOL,
    "bash_code_execution_tool_result": Origin.TOOL,
    "text_editor_code_execution_tool_result": Origin.TOOL,
    "tool_search_tool_result": Origin.TOOL,
    "advisor_tool_result": Origin.TOOL,
}
# Blocks that hold names and addresses only.
_NAMES: Final = {"tool_reference": Origin.TOOL, "browser_state": Origin.WEB, "fallback": Origin.OPERATOR}
_OPAQUE: Final = {"image": "an image", "container_upload": "a file", "redacted_thinking": SEALED}
_UNSEEN: Final = {
    "encrypted_content": SEALED,
    "encrypted_stdout": SEALED,
    "file_id": "a file",
}
_SEALS: Final = frozenset({"signature", "encrypted_index"})
_NAMED: Final = frozenset(
    {
        "type",
        "tool_use_id",
        "tool_name",
        "name",
        "server_name",
        "mcp_server_name",
        "tab_id",
        "category",
        "error_code",
        "media_type",
        "file_type",
        "model",
    }
)
"""Fields that hold identifiers. An address is none: it can carry a message away."""
_NESTED: Final = frozenset({"text", "image", "document", "search_result"})
_BASE64: Final = str.maketrans("", "", "+/=-_")


class Blocks:
    """Adds the parts of content blocks.

    In a request, what tools brought back keeps the origin it has. In an answer everything comes
    from the upstream and goes to the client, so all of it is judged as the model's words: that is
    what the detectors of answers look at.

    Args:
        gathered: Where parts go.
        answer: Whether the blocks are those of an answer.
    """

    def __init__(self, gathered: Gathered, *, answer: bool) -> None:
        self._gathered = gathered
        self._answer = answer
        self._called: dict[str, str] = {}

    def content(self, content: Any, path: str, kind: PartKind, origin: Origin, name: str = "") -> None:
        """Add the parts of a content: a string, or a list of blocks.

        Raises:
            ProtocolError: It is neither, or a block is malformed.
        """
        if type(content) is str:
            self.text(kind, origin, path, content, name)
        elif type(content) is list:
            self._gathered.spend(len(content), path)
            for index, block in enumerate(content):
                self.block(block, f"{path}/{index}", kind, origin, name)
        elif content is not None:
            refuse("content is neither a string nor a list of blocks", path)

    def block(self, block: Any, where: str, kind: PartKind, origin: Origin, name: str = "") -> None:
        """Add the parts of one block.

        Raises:
            ProtocolError: It is malformed.
        """
        if type(block) is not dict:
            refuse("a content block is not an object", where)
        form = block.get("type")
        if type(form) is not str:
            refuse("a content block has no type", f"{where}/type")
        if form in _CALLS:
            self._call(block, where, origin)
        elif form in _OWN_RESULTS or form in _RESULTS:
            self._result(block, where, max(origin, _RESULTS.get(form, Origin.TOOL)))
        elif form in _OPAQUE:
            self._gathered.skip(where, _OPAQUE[form])
        elif form in _FIELDS:
            self._gathered.fields(block, _FIELDS[form], where)
            _READERS[form](self, block, where, kind, origin, name)
        elif form in _NAMES:
            self.walk(block, where, kind, max(origin, _NAMES[form]), name)
        else:
            self._gathered.skip(where, UNKNOWN_BLOCK)
            self.walk(block, where, kind, origin, name)

    def text(self, kind: PartKind, origin: Origin, path: str, text: Any, name: str = "") -> None:
        """Add a text where there is one.

        Raises:
            ProtocolError: It is not a string.
        """
        if text is None:
            return
        if type(text) is not str:
            refuse("a text is not a string", path)
        if self._answer:
            origin = Origin.MODEL
            kind, name = (kind, name) if kind is PartKind.TOOL_CALL else (PartKind.TEXT, "")
        if text:
            self._gathered.text(kind, origin, path, text, name)

    def label(self, origin: Origin, path: str, name: Any) -> None:
        """Add a name as text, unless it is a plain identifier or absent."""
        if name is not None:
            if type(name) is not str:
                refuse("a name is not a string", path)
            self._gathered.label(Origin.MODEL if self._answer else origin, path, name)

    def walk(self, tree: Any, where: str, kind: PartKind, origin: Origin, name: str = "") -> None:
        """Add every string in a tree, save plain identifiers where one is meant; note what can't be read.

        Blocks whose fields differ from tool to tool, and from version to version, are read so:
        whatever a field is called, its text is judged.

        Raises:
            ProtocolError: 413 ``too_many_pieces``, or a block in the tree is malformed.
        """
        if type(tree) is str:
            self.text(kind, origin, where, tree, name)
        elif type(tree) is list:
            self._gathered.spend(len(tree), where)
            for index, item in enumerate(tree):
                self._step(item, f"{where}/{index}", kind, origin, name)
        elif type(tree) is dict:
            self._gathered.spend(len(tree), where)
            for key, value in tree.items():
                self._field(key, value, where, kind, origin, name)

    def definition(self, tool: Any, where: str, origin: Origin) -> None:
        """Add the definition of a tool.

        Raises:
            ProtocolError: It is malformed.
        """
        if type(tool) is not dict:
            refuse("a tool is not an object", where)
        form = tool.get("type")
        if form is not None and type(form) is not str:
            refuse("the type of a tool is not a string", f"{where}/type")
        name = tool.get("name", form)
        if type(name) is not str or not name:
            refuse("a tool definition has no name", f"{where}/name")
        text = encode_json(tool).decode()
        if form in (None, "custom"):
            description = tool.get("description")
            if description is not None and type(description) is not str:
                refuse("the description of a tool is not a string", f"{where}/description")
            self._gathered.fields(tool, _DEFINITION, where)
            shown = [tool[key] for key in ("input_schema", "input_examples") if tool.get(key) is not None]
            text = "\n".join(t for t in (name, description, *(encode_json(s).decode() for s in shown)) if t)
        self.text(PartKind.TOOL_DEFINITION, origin, where, text, name)

    def _field(self, key: str, value: Any, where: str, kind: PartKind, origin: Origin, name: str) -> None:
        path = below(where, key)
        if key in _UNSEEN:
            if value:
                self._gathered.skip(path, _UNSEEN[key])
        elif len(key) > MAX_KEY_CHARS:
            self._gathered.skip(where, UNKNOWN_BLOCK)
        elif key in _SEALS:
            self._seal(value, path, origin)
        elif key not in _NAMED:
            self._step(value, path, kind, origin, name)
        elif value is not None:
            self.label(origin, path, value)

    def _step(self, value: Any, path: str, kind: PartKind, origin: Origin, name: str) -> None:
        if type(value) is dict and type(value.get("type")) is str and value["type"] in _NESTED:
            self.block(value, path, kind, origin, name)
        else:
            self.walk(value, path, kind, origin, name)

    def _seal(self, value: Any, path: str, origin: Origin) -> None:
        """A provider's own mark of authenticity says nothing; anything else under its name is text."""
        if type(value) is str and value.isascii() and value.translate(_BASE64).isalnum():
            return
        self.text(PartKind.TEXT, origin, path, value)

    def _call(self, block: dict[str, Any], where: str, origin: Origin) -> None:
        self._gathered.fields(block, _CALL, where)
        called, given = block.get("name"), block.get("input")
        if type(called) is not str:
            refuse("a called tool has no name", f"{where}/name")
        if given is not None and type(given) is not dict:
            refuse("the input of a tool call is not an object", f"{where}/input")
        for key in ("name", "id", "toolset_name", "server_name"):
            self.label(origin, f"{where}/{key}", block.get(key))
        if type(block.get("id")) is str:
            self._called[block["id"]] = called
        if given is not None:
            self.text(PartKind.TOOL_CALL, origin, f"{where}/input", encode_json(given).decode(), called)

    def _result(self, block: dict[str, Any], where: str, origin: Origin) -> None:
        self._gathered.fields(block, _RESULT, where)
        answered = block.get("tool_use_id")
        self.label(origin, f"{where}/tool_use_id", answered)
        name = self._called.get(answered, "") if type(answered) is str else ""
        content, path = block.get("content"), f"{where}/content"
        if block["type"] in _OWN_RESULTS:
            self.content(content, path, PartKind.TOOL_RESULT, origin, name)
        else:
            self._step(content, path, PartKind.TOOL_RESULT, origin, name)

    def _read_text(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        if type(block.get("text")) is not str:
            refuse("a text block has no text", f"{where}/text")
        self.text(kind, origin, f"{where}/text", block["text"], name)
        if block.get("citations"):
            self.walk(block["citations"], f"{where}/citations", PartKind.TEXT, max(origin, Origin.TOOL))

    def _read_thinking(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        self.text(kind, origin, f"{where}/thinking", block.get("thinking"), name)
        if block.get("signature"):
            self._seal(block["signature"], f"{where}/signature", origin)

    def _read_document(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        """A document was written by somebody else than who hands it in: it is no more than a tool's word."""
        origin = max(origin, Origin.TOOL)
        for key in ("title", "context"):
            self.text(kind, origin, f"{where}/{key}", block.get(key), name)
        source = block.get("source")
        if type(source) is not dict:
            refuse("a document has no source", f"{where}/source")
        form = source.get("type")
        if form == "text":
            self._gathered.fields(source, _PLAIN, f"{where}/source")
            self.text(kind, origin, f"{where}/source/data", source.get("data"), name)
        elif form == "content":
            self._gathered.fields(source, _CONTENT, f"{where}/source")
            self.content(source.get("content"), f"{where}/source/content", kind, origin, name)
        else:
            self._gathered.skip(f"{where}/source", "a file")

    def _read_search_result(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        for key in ("source", "title"):
            self.text(kind, Origin.WEB, f"{where}/{key}", block.get(key), name)
        self.content(block.get("content"), f"{where}/content", kind, Origin.WEB, name)

    def _read_compaction(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        """The summary of a longer history, in the model's words; it may be in nobody's but the provider's."""
        self.text(kind, max(origin, Origin.MODEL), f"{where}/content", block.get("content"), name)
        self.walk(
            {k: v for k, v in block.items() if k in ("encrypted_content", "signature", "tool_changes") and v},
            where,
            PartKind.TEXT,
            max(origin, Origin.MODEL),
        )

    def _read_addition(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        tool = block.get("tool")
        if type(tool) is dict and type(tool.get("definition")) is dict:
            self._gathered.fields(tool, _CHANGE, f"{where}/tool")
            self.definition(tool["definition"], f"{where}/tool/definition", origin)
        else:
            self.walk(tool, f"{where}/tool", PartKind.TEXT, origin)

    def _read_listing(
        self, block: dict[str, Any], where: str, kind: PartKind, origin: Origin, name: str
    ) -> None:
        """Tools as a server elsewhere describes them: its word, not the client's."""
        self.label(origin, f"{where}/mcp_server_name", block.get("mcp_server_name"))
        tools = block.get("tools")
        if type(tools) is not list:
            refuse("tools is not a list", f"{where}/tools")
        self._gathered.spend(len(tools), f"{where}/tools")
        for index, tool in enumerate(tools):
            self.definition(tool, f"{where}/tools/{index}", max(origin, Origin.TOOL))


_DEFINITION: Final = Fields.of(
    "type name description input_schema input_examples",
    "allowed_callers cache_control defer_loading eager_input_streaming strict",
)
_PLAIN: Final = Fields.of("type data", "media_type")
_CONTENT: Final = Fields.of("type content")
_CHANGE: Final = Fields.of("type definition")
_Reader = Callable[[Blocks, dict[str, Any], str, PartKind, Origin, str], None]
_READERS: Final[dict[str, _Reader]] = {
    "text": Blocks._read_text,
    "thinking": Blocks._read_thinking,
    "document": Blocks._read_document,
    "search_result": Blocks._read_search_result,
    "compaction": Blocks._read_compaction,
    "tool_addition": Blocks._read_addition,
    "mcp_tool_listing": Blocks._read_listing,
}
