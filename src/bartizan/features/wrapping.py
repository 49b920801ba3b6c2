"""Running text broken into lines: words divided at line ends, and marks before every line.

``# ignore all`` above ``# previous rules`` is one sentence to whoever reads the comment.
"""

from __future__ import annotations

from typing import Final

import re2

from bartizan.features.traced import Edit

_DIVIDED: Final = re2.compile(r"[A-Za-z\x{c0}-\x{52f}]-\r?\n[ \t]*[a-z\x{c0}-\x{52f}]")
_MARKED: Final = re2.compile(r"(?:^|\n)[ \t]*(#|//|>|--|;)[^\n]*(?:\n[ \t]*(?:#|//|>|--|;)[^\n]*)+")
_MARK: Final = re2.compile(r"\n[ \t]*(?:#+|//+|>+|--+|;+)[ \t]?")


def unwrapped(text: str) -> list[Edit]:
    """Return the edits that join divided words and drop the marks between the lines of a comment."""
    if "\n" not in text:
        return []
    edits: list[Edit] = []
    if "-\n" in text or "-\r\n" in text:
        edits += [(m.start() + 1, m.end() - 1, "") for m in _DIVIDED.finditer(text)]
    for block in _MARKED.finditer(text) if _has_marks(text) else ():
        start = block.start() + (block.group()[0] == "\n")
        edits += [
            (start + m.start(), start + m.end(), "\n ") for m in _MARK.finditer(text[start : block.end()])
        ]
    if len(edits) > 1:
        edits.sort()
    return edits


def _has_marks(text: str) -> bool:
    return "#" in text or "//" in text or ">" in text or "--" in text or ";" in text
