"""Sentences cut into pieces that the reader is to put together again.

String literals joined by operators, variables joined later, arrays and objects of fragments, one
word to a line, syllables with hyphens. Programs are full of such things; only short pieces
that come out as a sentence become a view.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import re2

from bartizan.features.envelope import Envelope
from bartizan.features.legible import fluent
from bartizan.features.meaning import sentence

MIN_SENTENCE: Final = 5
MAX_PIECE: Final = 24
"""Mean characters of the pieces, from which they are sentences and no pieces of one."""
MAX_VARIABLES: Final = 64
MIN_LINES: Final = 6
MAX_LINE: Final = 40
MIN_HYPHENATED: Final = 5
HYPHENATED_SHARE: Final = 0.3

_STRING: Final = r"""(?:"[^"\n]*"|'[^'\n]*')"""
_JOINED: Final = re2.compile(rf"{_STRING}(?:\s*(?:\+|\.|&|\|\||<>|~|\\\n)\s*{_STRING})+")
_ADJACENT: Final = re2.compile(r'"[^"\n]*"(?:[ \n]+"[^"\n]*")+')
_LIST: Final = re2.compile(rf"[\[({{]\s*{_STRING}(?:\s*,\s*{_STRING}){{2,}},?\s*[\])}}]")
_PIECE: Final = re2.compile(r""""([^"\n]*)"|'([^'\n]*)'""")
_VALUE: Final = re2.compile(r'"[^"\n]*"\s*:\s*"([^"\n]*)"')
_VARIABLE: Final = re2.compile(
    r"""([A-Za-z_$][A-Za-z0-9_]*)\s*(?::=|=|\bis\b)\s*(?:"([^"\n]+)"|'([^'\n]+)')"""
)
_NAMED: Final = r"[A-Za-z_$][A-Za-z0-9_]*"
_SUM: Final = re2.compile(
    rf"{_NAMED}(?:\s*(?:\+|\.|&|,|\band\b|\bthen\b)\s*{_NAMED})+|(?:\$?\{{\{{?{_NAMED}\}}?\}}\s?){{2,}}"
)
_NAME: Final = re2.compile(_NAMED)
_HYPHENATED: Final = re2.compile(r"\b[A-Za-z]+(?:-[A-Za-z]+)+\b")
_MARKERS: Final = " \t>#*/-0123456789.):("


def strings(text: str) -> Iterator[Envelope]:
    """Yield the sentences that string literals and variables in ``text`` make; linear in it."""
    if text.count('"') + text.count("'") < 4:
        return
    yield from _literals("joined strings", _JOINED, text)
    yield from _literals("joined strings", _ADJACENT, text)
    yield from _literals("array", _LIST, text)
    yield from _values(text)
    yield from _variables(text)


def lines(text: str) -> Iterator[Envelope]:
    """Yield the runs of lines that hold one word each, where they make a sentence; linear."""
    if text.count("\n") < MIN_LINES - 1:
        return
    words: list[str] = []
    start = end = at = 0
    for line in chain(text.split("\n"), ("a b",)):
        word = _word(line)
        if word:
            start = start if words else at
            end = at + len(line)
            words.append(word)
        elif line:
            if len(words) >= MIN_LINES and fluent(" ".join(words)):
                yield Envelope("one word a line", " ".join(words), start, end)
            words = []
        at += len(line) + 1


def hyphens(text: str) -> Iterator[Envelope]:
    """Yield the passage whose words are cut by hyphens, without them; linear in ``text``."""
    if text.count("-") < max(MIN_HYPHENATED, HYPHENATED_SHARE * (text.count(" ") + 1)):
        return
    found = list(_HYPHENATED.finditer(text))
    if len(found) < MIN_HYPHENATED or len(found) < HYPHENATED_SHARE * (text.count(" ") + 1):
        return
    start, end = found[0].start(), found[-1].end()
    said = text[start:end].replace("-", "")
    if fluent(said):
        yield Envelope("hyphenated", said, start, end)


def _literals(name: str, pattern: Any, text: str) -> Iterator[Envelope]:
    for m in pattern.finditer(text):
        said = _sentence([p.group(1) or p.group(2) or "" for p in _PIECE.finditer(m.group())])
        if said:
            yield Envelope(name, said, m.start(), m.end())


def _values(text: str) -> Iterator[Envelope]:
    """Yield what the string values of an object say one after the other."""
    found = list(_VALUE.finditer(text)) if '"' in text and ":" in text else []
    pieces = [m.group(1) for m in found]
    if max(map(len, pieces), default=MAX_PIECE + 1) > MAX_PIECE:
        return
    said = _sentence(pieces)
    if said:
        yield Envelope("JSON strings", said, found[0].start(), found[-1].end())


def _variables(text: str) -> Iterator[Envelope]:
    """Yield what sums of variables spell, in the order of the sum."""
    values: dict[str, str] = {}
    first = last = 0
    for m in _VARIABLE.finditer(text):
        first = first if values else m.start()
        last = m.end()
        values[m.group(1)] = m.group(2) or m.group(3)
        if len(values) == MAX_VARIABLES:
            break
    if len(values) < 2:
        return
    for m in _SUM.finditer(text):
        said = _sentence([values[n] for n in _NAME.findall(m.group()) if n in values])
        if said:
            yield Envelope("joined variables", said, min(first, m.start()), max(last, m.end()))


def _sentence(pieces: list[str]) -> str:
    """Return the sentence that short pieces make, joined as they are or by spaces, or ``""``."""
    if len(pieces) < 2 or sum(map(len, pieces)) > MAX_PIECE * len(pieces):
        return ""
    for said in ("".join(pieces), " ".join(pieces)):
        if sentence(said, MIN_SENTENCE):
            return said
    return ""


def _word(line: str) -> str:
    """Return the one word of a line, without the mark of a list before it, or ``""``."""
    if len(line) > MAX_LINE:
        return ""
    word = line.strip().lstrip(_MARKERS)
    return word if word and not any(map(str.isspace, word)) and any(map(str.isalpha, word)) else ""
