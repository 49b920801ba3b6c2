"""Which keys an object is known to have, and what happens to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bartizan.errors import ProtocolError

MAX_KEY_CHARS = 64
"""Unknown keys longer than this are not written into a pointer."""

MAX_UNKNOWN_KEYS = 256
"""More unknown keys than this in one object are refused: each costs a microsecond."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys of one kind of object.

    Attributes:
        known: Every key whose meaning is known here.
        guarded: Folded forms of those that carry content or change its meaning. Some upstreams
            match keys without regard to case, or to ``_`` and ``-``; to them a look-alike of a
            guarded key is that key, so it is refused.
    """

    known: frozenset[str]
    guarded: frozenset[str]

    @classmethod
    def of(cls, guarded: str, others: str = "") -> Fields:
        """Build from two lists of names separated by spaces."""
        names = guarded.split()
        return cls(frozenset(names + others.split()), frozenset(fold(n) for n in names))


def fold(key: str) -> str:
    """Return the form in which lenient parsers compare keys.

    >>> fold("Tool_Calls") == fold("toolCalls")
    True
    """
    return key.casefold().replace("_", "").replace("-", "")


def unknown(tree: Mapping[str, Any], fields: Fields, where: str) -> Iterator[tuple[str, Any]]:
    """Yield ``(pointer, value)`` of what stands under unknown keys and could carry content.

    Raises:
        ProtocolError: 400 ``ambiguous_key``: a key only looks like a guarded one; 413
            ``too_many_keys``.
    """
    strangers = tree.keys() - fields.known
    if len(strangers) > MAX_UNKNOWN_KEYS:
        raise ProtocolError(
            f"an object has more than {MAX_UNKNOWN_KEYS} keys that the protocol does not define",
            status=413,
            code="too_many_keys",
            param=where or None,
            hint="leave them out",
        )
    for key in strangers:
        if fold(key) in fields.guarded:
            raise ProtocolError(
                "a key differs from a known one only by case or punctuation",
                code="ambiguous_key",
                param=where or None,
                hint="write keys exactly as the protocol does: upstreams disagree about look-alikes",
            )
        value = tree[key]
        if value and isinstance(value, str | list | dict):
            yield below(where, key), value


def below(where: str, key: str) -> str:
    """Return the JSON Pointer of a key that a peer chose; that of its holder if it is very long.

    >>> below("/parameters", "a/b")
    '/parameters/a~1b'
    """
    if len(key) > MAX_KEY_CHARS:
        return where
    return f"{where}/" + key.replace("~", "~0").replace("/", "~1")
