"""The admin API's description, made from the same table that its routes are made from.

Also the one place that decides how our types look as JSON: :func:`plain` for values and
:func:`document` for their schemas, side by side so that they can't disagree.

References:
    OpenAPI Specification 3.1.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from bartizan.gateway.problem import MEDIA_TYPE, BadParameter, Problem
from bartizan.types import Effect, Origin

_REF = "#/components/schemas/{name}"
_BY_NAME: tuple[type[IntEnum], ...] = (Effect, Origin)
"""Ordered values: numbers inside, where they are compared; names for readers."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter.

    Attributes:
        name: Its name.
        parse: Turns the text into a value, or raises ValueError saying what it has to be.
        schema: Its JSON Schema.
        description: What it does.
    """

    name: str
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route of the admin API.

    Attributes:
        path: As Starlette writes it; ``{name:path}`` takes slashes, too.
        handler: Answers; run in a worker thread unless it is a coroutine function.
        summary: One sentence.
        returns: Type of the answer's body; ``str`` for plain text.
        query: What it takes.
        errors: Statuses that it may answer with besides 200.
        open: Whether it answers without a token.
        media_type: Of the answer.
        method: ``GET``, or ``POST`` for what changes something.
    """

    path: str
    handler: Callable[[Request], Response | Awaitable[Response]]
    summary: str
    returns: Any
    query: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    open: bool = False
    media_type: str = "application/json"
    method: str = "GET"

    @property
    def described_path(self) -> str:
        """The path as OpenAPI writes it."""
        return self.path.replace(":path}", "}")


def read_query(given: QueryParams, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the parsed parameters that were given.

    Raises:
        BadParameter: One is unknown, given twice or not of its form.
    """
    known = {p.name: p for p in parameters}
    values: dict[str, Any] = {}
    for name, text in given.multi_items():
        if name not in known:
            raise BadParameter(name, "no such parameter here")
        if name in values:
            raise BadParameter(name, "given more than once")
        try:
            values[name] = known[name].parse(text)
        except ValueError as e:
            raise BadParameter(name, str(e)) from None
    return values


def plain(value: Any) -> Any:
    """Return a value as JSON shows it: mappings and lists, ordered values by name.

    >>> plain((Effect.BLOCK, Origin.WEB))
    ['block', 'web']
    """
    if isinstance(value, _BY_NAME):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a table of endpoints."""
    types = {e.returns for e in endpoints} | {Problem}
    ordered = sorted(types, key=str)
    references, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    schemas = dict(zip(ordered, references, strict=True))
    for enum in _BY_NAME:
        if enum.__name__ in components:
            components[enum.__name__] |= {"type": "string", "enum": [m.name.lower() for m in enum]}
    for schema in components.values():
        if "description" in schema:
            schema["description"] = _first_paragraph(schema["description"])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bartizan admin API", "version": version},
        "security": [{"bearer": []}, {"session": []}],
        "paths": {e.described_path: {e.method.lower(): _operation(e, schemas)} for e in endpoints},
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "bartizan_session"},
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    in_path = [piece[1:-1] for piece in endpoint.described_path.split("/") if piece.startswith("{")]
    errors = {*endpoint.errors, *(() if endpoint.open else (401,)), *((400,) if endpoint.query else ())}
    problem = {MEDIA_TYPE: {"schema": schemas[Problem]}}
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__.strip("_"),
        "summary": endpoint.summary,
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in in_path),
            *(
                {"name": p.name, "in": "query", "description": p.description, "schema": dict(p.schema)}
                for p in endpoint.query
            ),
        ],
        "responses": {
            "200": {
                "description": endpoint.summary,
                "content": {endpoint.media_type: {"schema": schemas[endpoint.returns]}},
            },
            **{str(s): {"description": _ERRORS[s], "content": problem} for s in sorted(errors)},
        },
    }
    if endpoint.open:
        operation["security"] = []
    return operation


_ERRORS = {
    400: "A parameter can't be used; the answer says which.",
    401: "The caller is not known.",
    403: "The request does not come from one of our own pages.",
    404: "There is no such thing.",
    503: "Not ready.",
}


def _first_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
