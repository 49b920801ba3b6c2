"""Replaces strings at JSON Pointers, in a tree that the caller owns."""

from __future__ import annotations

from typing import Any

from bartizan.errors import ProtocolError


def tokens(pointer: str) -> list[str]:
    """Return the tokens of a JSON Pointer.

    >>> tokens("/messages/0/a~1b")
    ['messages', '0', 'a/b']

    References:
        RFC 6901 section 4.
    """
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]


def holder(tree: Any, path: list[str]) -> tuple[Any, str | int]:
    """Return the container that holds the last token, and the key or index in it.

    Raises:
        ProtocolError: ``not_rewritable``: nothing is there.
    """
    where = tree
    for token in path[:-1]:
        where = where[step(where, token)]
    if not path:
        raise missing()
    return where, step(where, path[-1])


def step(where: Any, token: str) -> str | int:
    """Return a token as a key or index that exists in a container."""
    if isinstance(where, dict) and token in where:
        return token
    if isinstance(where, list) and token.isascii() and token.isdigit() and len(token) < 10:
        index = int(token)
        if index < len(where):
            return index
    raise missing()


def missing() -> ProtocolError:
    """Return the error for a pointer to nothing."""
    return ProtocolError(
        "there is no text to replace at this place",
        code="not_rewritable",
        hint="only text that was read from this message can be replaced; block it instead",
    )
