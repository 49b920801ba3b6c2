"""Single characters written another way: entities, percent, backslashes, quoted-printable, JSON strings.

These stand for one character each and are undone in place.
"""

from __future__ import annotations

from collections.abc import Callable
from html.entities import html5
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import re2

from bartizan.features.traced import Edit

MIN_ESCAPES: Final = 4
"""Fewer escapes than this are left alone: one ``%20`` in a link is no disguise."""

_ENTITY: Final = re2.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_PERCENT: Final = re2.compile(r"(?:%[0-9A-Fa-f]{2})+")
_SURROGATES: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE: Final = re2.compile(
    _SURROGATES + r"|\\u[0-9a-fA-F]{4}|(?:\\x[0-9a-fA-F]{2})+|\\u\{[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}"
    r"|(?:\\[0-3][0-7]{2})+"
)
_LITERAL: Final = re2.compile(r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)+"')
_IN_LITERAL: Final = re2.compile(_SURROGATES + r"|\\u[0-9a-fA-F]{4}|\\[nrt/\"\\]")
_SHORT: Final = {"n": "\n", "r": "\n", "t": "\t", "/": "/", '"': '"', "\\": "\\"}
_QUOTED: Final = re2.compile(r"(?:=[0-9A-F]{2})+|=\r?\n")
_QUOTED_FULL: Final = re2.compile(r"(?:=[0-9A-F]{2}){4,}|=[C-F][0-9A-F]=[89AB][0-9A-F]|[a-z]=\r?\n[a-z]")


def spellings(text: str) -> list[Edit]:
    """Return the edits that undo other spellings of single characters, in order, none overlapping."""
    if "\\" in text:
        edits = _literals(text) or _escapes(_ESCAPE, text, _backslash)
        if edits:
            return edits
    edits = []
    if "&" in text:
        edits += _escapes(_ENTITY, text, _entity)
    if text.count("%") >= MIN_ESCAPES:
        edits += _escapes(_PERCENT, text, _percent)
    if not edits and text.count("=") >= MIN_ESCAPES and _QUOTED_FULL.search(text):
        edits += _escapes(_QUOTED, text, _quoted)
    edits.sort()
    return edits


def _literals(text: str) -> list[Edit]:
    """Return the edits that undo escapes inside double quotes, where JSON and most languages have them."""
    if '"' not in text:
        return []
    return [
        (m.start() + e.start(), m.start() + e.end(), _json(e.group()))
        for m in _LITERAL.finditer(text)
        for e in _IN_LITERAL.finditer(m.group())
    ]


def _json(run: str) -> str:
    if run[1] != "u":
        return _SHORT[run[1]]
    code = int(run[2:6], 16)
    if len(run) == 12:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(run[8:], 16) - 0xDC00)
    return _character(code, "?")


def _escapes(pattern: Any, text: str, decode: Callable[[str], str]) -> list[Edit]:
    found = list(pattern.finditer(text))
    if len(found) < MIN_ESCAPES and sum(m.end() - m.start() for m in found) < 3 * MIN_ESCAPES:
        return []
    return [(m.start(), m.end(), decode(m.group())) for m in found]


def _entity(run: str) -> str:
    body = run[1:-1]
    if body[0] != "#":
        return html5.get(body + ";", run)
    code = int(body[2:], 16) if body[1] in "xX" else int(body[1:])
    return _character(code, run)


def _percent(run: str) -> str:
    return unquote_to_bytes(run).decode(errors="replace")


def _quoted(run: str) -> str:
    return "" if run[-1] == "\n" else bytes.fromhex(run.replace("=", "")).decode(errors="replace")


def _backslash(run: str) -> str:
    kind = run[1]
    if kind in "x0123":
        base = 16 if kind == "x" else 8
        return _bytes(bytes(int(code.lstrip("x"), base) for code in run.split("\\")[1:]))
    return _json(run) if len(run) == 12 else _character(int(run[2:].strip("{}"), 16), run)


def _bytes(data: bytes) -> str:
    """Return bytes as text: programs write UTF-8 this way, and the older ones Latin-1."""
    try:
        return data.decode().replace("\0", "")
    except UnicodeDecodeError:
        return data.decode("latin-1").replace("\0", "")


def _character(code: int, otherwise: str) -> str:
    surrogate = 0xD800 <= code < 0xE000
    return otherwise if surrogate or not 0 < code < 0x110000 else chr(code)
