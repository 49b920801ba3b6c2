"""Open Inference Protocol v2 over REST, with the binary tensor extension.

Spoken by KServe, Triton, MLServer and Seldon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bartizan.errors import ProtocolError
from bartizan.ports import ParsedRequest, ParsedResponse, Reply
from bartizan.protocols.fields import Fields, below
from bartizan.protocols.gathered import Gathered, refuse, upstream_error
from bartizan.protocols.http_message import check_encoding, error_reply, segments
from bartizan.protocols.inference_coarsen import coarsen
from bartizan.protocols.inference_message import (
    Tensor,
    TensorReader,
    read_tree,
    refuse_shared_memory,
    split_head,
)
from bartizan.protocols.inference_repeat import repeated
from bartizan.protocols.inference_rewrite import rewrite
from bartizan.protocols.inference_rows import answered, input_parts
from bartizan.protocols.limits import DEFAULT, Limits
from bartizan.types import FloatArray, Origin, PartKind

_REQUEST = Fields.of("inputs parameters", "id outputs")
_RESPONSE = Fields.of("outputs parameters", "id model_name model_version")
_PASSED = (["v2"], ["v2", "health", "live"], ["v2", "health", "ready"])


class OpenInference:
    """Implements :class:`bartizan.ports.WireProtocol` for ``/v2/models/{model}/infer``.

    Args:
        limits: How much one message may hold.
        embedding: Name of the output that holds the rows' embedding, if the model gives one.

    References:
        kserve/open-inference-protocol, "Open Inference Protocol REST"; Triton Inference
        Server, "Binary Tensor Data Extension".
    """

    name: ClassVar[str] = "open-inference"
    kind: ClassVar[str] = "predict"

    def __init__(self, limits: Limits | None = None, embedding: str | None = None) -> None:
        self._limits = limits or DEFAULT
        self._embedding = embedding

    def with_embedding(self, name: str) -> OpenInference:
        """Return the same protocol, reading the output called ``name`` as the rows' embedding."""
        return OpenInference(self._limits, name)

    def operation(self, method: str, path: str) -> str | None:
        """Judge inference, pass health and metadata, know nothing else."""
        found = segments(path)
        if not found:
            return None
        if method == "GET" and found in _PASSED:
            return "pass"
        if found[:2] != ["v2", "models"] or len(found) < 3:
            return None
        rest = found[5:] if found[3:4] == ["versions"] and len(found) > 4 else found[3:]
        if method == "POST":
            return "judge" if rest == ["infer"] else None
        return "pass" if method == "GET" and rest in ([], ["ready"]) else None

    def parse_request(self, path: str, headers: Mapping[str, str], body: bytes) -> ParsedRequest:
        """Understand an inference request: its numeric inputs as rows, its texts one by one.

        Raises:
            ProtocolError: With the status and code that the client should see.
        """
        check_encoding(headers)
        gathered = Gathered(self._limits)
        head, tail = split_head(headers, body)
        tree = read_tree(head, self._limits)
        gathered.fields(tree, _REQUEST, "")
        if not tree.get("inputs"):
            refuse("inputs is missing or empty", "inputs", hint="send at least one input tensor")
        _read_wanted(tree.get("outputs"))
        _read_parameters(gathered, tree.get("parameters"))
        reader = TensorReader(gathered, self._limits, "inputs", tail, finite=True)
        tensors = reader.read(tree["inputs"])
        gathered.parts.extend(input_parts(tensors, self._limits.columns))
        _read_texts(gathered, tensors, "inputs", Origin.USER)
        return ParsedRequest(tuple(gathered.parts), _model(path), unjudged=gathered.unjudged, document=body)

    def parse_response(
        self, request: ParsedRequest, headers: Mapping[str, str], body: bytes
    ) -> ParsedResponse:
        """Understand an answer: the request's rows with what the model made of them, and texts.

        Raises:
            ProtocolError: ``side="upstream"``, status 502, ``upstream_invalid_response``.
        """
        gathered = Gathered(self._limits)
        try:
            head, tail = split_head(headers, body)
            tree = read_tree(head, self._limits)
            gathered.fields(tree, _RESPONSE, "")
            reader = TensorReader(gathered, self._limits, "outputs", tail, finite=False)
            tensors = reader.read(tree.get("outputs"))
            asked = [p for p in request.parts if p.rows is not None]
            gathered.parts.extend(answered(p, tensors, self._embedding) for p in asked)
            _read_texts(gathered, tensors, "outputs", Origin.MODEL)
        except ProtocolError as error:
            raise upstream_error(error) from None
        return ParsedResponse(tuple(gathered.parts), gathered.unjudged, body)

    def repeated(
        self, request: ParsedRequest, headers: Mapping[str, str], inputs: FloatArray
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return the same request about other rows; see :mod:`bartizan.protocols.inference_repeat`.

        Raises:
            ProtocolError: ``not_repeatable``.
        """
        return repeated(request.document, headers, inputs)

    def open_stream(self, request: ParsedRequest) -> None:
        """Return ``None``: the protocol has no streamed answers over REST."""
        return

    def rewrite(self, document: Any, headers: Mapping[str, str], edits: Mapping[str, str]) -> bytes:
        """Return the body with text elements replaced; see :mod:`bartizan.protocols.inference_rewrite`.

        Raises:
            ProtocolError: ``not_rewritable``.
        """
        return rewrite(document, headers, edits)

    def coarsen(self, document: Any, headers: Mapping[str, str], digits: int, *, top_only: bool) -> bytes:
        """Return an answer with coarser scores; see :mod:`bartizan.protocols.inference_coarsen`.

        Raises:
            ProtocolError: ``not_rewritable``.
        """
        return coarsen(document, headers, digits, top_only=top_only)

    def error(
        self, status: int, code: str, message: str, *, record_id: str, param: str | None = None
    ) -> Reply:
        """Return an error as the protocol's clients expect it: ``{"error": "..."}``."""
        return error_reply(status, code, {"error": message}, record_id)


def _read_texts(gathered: Gathered, tensors: list[Tensor], field: str, origin: Origin) -> None:
    for tensor in tensors:
        for element, content in enumerate(tensor.texts):
            pointer = tensor.pointer(field, element)
            try:
                text = content if isinstance(content, str) else content.decode()
            except UnicodeDecodeError:
                gathered.skip(pointer, "bytes that are not UTF-8 text")
                continue
            if text:
                gathered.text(PartKind.TEXT, origin, pointer, text, tensor.name)


def _read_wanted(outputs: Any) -> None:
    """Check which outputs a client wants; all that matters is where they are to go."""
    if outputs is None:
        return
    if type(outputs) is not list:
        refuse("outputs is not a list", "outputs")
    for index, wanted in enumerate(outputs):
        if type(wanted) is not dict:
            refuse("a requested output is not an object", f"/outputs/{index}")
        parameters = wanted.get("parameters")
        if type(parameters) is dict and "shared_memory_region" in parameters:
            refuse_shared_memory(f"/outputs/{index}")


def _read_parameters(gathered: Gathered, parameters: Any) -> None:
    """Judge the words that a client passes beside its tensors."""
    if parameters is None:
        return
    if type(parameters) is not dict:
        refuse("parameters is not an object", "parameters")
    gathered.spend(len(parameters), "parameters")
    for key, value in parameters.items():
        if type(value) is str:
            gathered.label(Origin.USER, below("/parameters", key), value)
        elif isinstance(value, list | dict):
            gathered.skip(below("/parameters", key), "a parameter that is not a single value")


def _model(path: str) -> str:
    found = segments(path) or []
    return found[2] if len(found) > 2 and found[:2] == ["v2", "models"] else ""
