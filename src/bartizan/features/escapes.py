"""JSON text as it stands on the wire, read as the program at the other end will read it."""

from __future__ import annotations

from typing import Final

import re2

from bartizan.features.characters import INVISIBLE
from bartizan.features.text import encodable
from bartizan.features.traced import Edit, Traced
from bartizan.types import Part, PartKind

WIRE_KINDS: Final = frozenset({PartKind.TOOL_CALL, PartKind.TOOL_DEFINITION})
"""Kinds whose text is JSON source, in which ``\\u0041`` is an ``A``."""

_ESCAPE: Final = re2.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[/nrt\"\\]"
)
_INVISIBLE: Final = re2.compile(f"[{INVISIBLE}]+")
_SHORT: Final = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\/": "/", '\\"': '"', "\\\\": "\\"}


def plain(part: Part) -> Traced:
    """Return a part's text with JSON escapes undone where its kind has them; never raises."""
    text = part.text
    if not text.isascii():
        text = encodable(text)
    traced = Traced(text, None, len(text))
    if part.kind not in WIRE_KINDS or "\\" not in text:
        return traced
    edits: list[Edit] = [(m.start(), m.end(), _unescape(m.group())) for m in _ESCAPE.finditer(text)]
    return traced.splice(edits)


def visible(part: Part) -> Traced:
    """Return :func:`plain` text without its invisible characters, so that they split no token."""
    read = plain(part)
    if read.text.isascii():
        return read
    return read.splice([(m.start(), m.end(), "") for m in _INVISIBLE.finditer(read.text)])


def _unescape(run: str) -> str:
    short = _SHORT.get(run)
    if short is not None:
        return short
    code = int(run[2:6], 16)
    if len(run) == 12:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(run[8:], 16) - 0xDC00)
    return "?" if 0xD800 <= code < 0xE000 else chr(code)
