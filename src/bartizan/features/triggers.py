"""One pass over a text that tells which of the slower searches can find anything in it.

Ordinary text fires nothing and is done with after this pass, so that it stays cheap.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import re2


class Trigger(IntEnum):
    """What a text has that makes a search worth while."""

    RUN = 0
    """Sixteen printable characters without a space: base64, base32, base85, hex."""
    NUMBERS = 1
    """Five short numbers, or pairs of hexadecimal digits, after each other."""
    CALLS = 2
    """``chr(`` and its relatives."""
    LETTERS = 3
    """Three single letters or digits after each other."""
    SIGNALS = 4
    """Four groups of dots and dashes."""
    STRINGS = 5
    """Two string literals that an operator, a comma or a colon joins, or a value that is set."""
    MARKUP = 6
    """Comments, elements with attributes, images, titles and definitions."""
    ESCAPES = 7
    """Four escapes, or one inside double quotes."""


_PATTERNS: Final = {
    Trigger.RUN: r"[!-~]{16}",
    Trigger.NUMBERS: r"(?:(?:0x|\\x|0b)?[0-9a-fA-F]{1,3}[ :,;|/.\-\n]{1,3}){6}|[01]{7}[ ,;\n]|[01]{32}",
    Trigger.CALLS: r"(?i)ch(?:a?r|arcode)\$?\(",
    Trigger.LETTERS: r"(?:^|[^A-Za-z0-9\x{c0}-\x{10ffff}])[A-Za-z0-9\x{c0}-\x{52f}][^A-Za-z0-9]{1,7}"
    r"[A-Za-z0-9\x{c0}-\x{52f}][^A-Za-z0-9]{1,7}[A-Za-z0-9\x{c0}-\x{52f}](?:[^A-Za-z0-9\x{c0}-\x{10ffff}]|$)",
    Trigger.SIGNALS: r"(?:[.\-_\x{b7}\x{2022}\x{2013}\x{2014}\x{2212}]{1,6}[ /|\n]{1,3}){4}",
    Trigger.STRINGS: r"""["']\s*[+.&|<~,:\\\n ]\s*["']|=\s*["']|\bis ["']""",
    Trigger.MARKUP: r"<!--|<[a-zA-Z][^<>]*[= ]|<template|<noscript|!\[|\]\([^()]* [\"']|\]:",
    Trigger.ESCAPES: r"""\\[0-3uxUnrt"\\/]|&[#A-Za-z]|%[0-9A-Fa-f]{2}|=[0-9A-F]{2}=|=[C-F][0-9A-F]|=\r?\n""",
}


def _set() -> re2.Set:
    patterns = re2.Set.SearchSet()
    for trigger in Trigger:
        if patterns.Add(_PATTERNS[trigger]) != trigger:
            raise AssertionError("triggers are numbered in order")
    patterns.Compile()
    return patterns


_SET: Final = _set()


def triggers(text: str) -> frozenset[int]:
    """Return which triggers a text holds; linear in it."""
    return frozenset(_SET.Match(text) or ())
