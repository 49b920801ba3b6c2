"""Where in a growing text a token may have begun that goes on behind white space.

The rules for secrets also read a token in pieces (letter by letter, over the items of a list, in
string concatenation) and in codes (hex pairs, numbers of characters, base64 in lines). What such
a reading may still complete is held back; everything else is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from bartizan.features.characters import INVISIBLE, INVISIBLE_SET

MAX_REACH: Final = 1024
"""Characters that are held back at most for a token in pieces or in codes."""
MAX_PIECES: Final = 384
"""Characters in which the pieces of one token are looked for."""
HEAD: Final = 48
"""Characters after which it is told whether what was put together looks random."""
MAX_TRIES: Final = 8
"""Beginnings that are tried; a text with more of them is held back."""
MAX_MARKER: Final = 24
"""Characters of the longest marker of a list item."""
MIN_DIGITS: Final = 3
"""Digits among them that words seldom have."""

_GLUE: Final = " \t\r\n\"'`,;|\\[](){}<>&+*"
_MARK: Final = r"(?:\n|\\n)[ \t]*(?:[\-*+•>]|(?:[A-Za-z]{3,12} ?#?)?[0-9]{1,3}[.):])[ \t]+"
_GAP: Final = rf"(?:{_MARK}|\\[nrt]|[{re2.escape(_GLUE)}{INVISIBLE}])*"
_BODY: Final = r"[A-Za-z0-9_\-./=:]"
_BEGINNINGS: Final = (
    "sk-",
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "AIza",
    "ya29.",
    "GOCSPX-",
    "hf_",
    "npm_",
    "eyJ",
    "xox",
    "xapp-",
    "sk_live_",
    "rk_live_",
    "SG.",
    "pypi-",
    "dapi",
    "hvs.",
    "hvb.",
    "glsa_",
    "dckr_pat_",
    "PMAK-",
    "shpat_",
    "dop_v1_",
    "AGE-SECRET",
)
_SURE: Final = 3
"""Letters of a beginning that are enough to hold it back."""


def _begun(word: str) -> str:
    """Return a pattern for a text that ends in a token that begins so, or in its first letters."""
    rest = f"{_BODY}*"
    for letter in reversed(word[_SURE:]):
        rest = f"(?:{re2.escape(letter)}{rest})?"
    return str(re2.escape(word[:_SURE])) + rest


_PIECES: Final = re2.compile("(?:" + "|".join(map(_begun, _BEGINNINGS)) + r")\z")
"""On a text without its gaps."""
_BULLETS: Final = frozenset("-*+•>")
_CODES: Final = re2.compile(
    r"(?:(?:0x|\\x|%|&#|\\)?(?:[2-7][0-9a-fA-F]|[0-9]{2,3})(?:[;, :\-\t\r\n\])]|\\[nrt]){0,3})+\z"
)
_LINES: Final = re2.compile(r"[A-Za-z0-9+/_\-]{24,}(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/_\-]{4,})*\r?\n[ \t]{0,8}\z")
_FIRST: Final = re2.compile(f"[A-Za-z]({_GAP})(?:[A-Za-z]({_GAP}))?")
_HIDDEN: Final = re2.compile(r"\\u00(?:[46][1-9a-fA-F]|[57][0-9aA]|3[0-9]|2[dD]|5[fF])")
"""A letter or digit as an escape, which nobody needs."""
_DROP: Final = dict.fromkeys(map(ord, _GLUE + "".join(INVISIBLE_SET)))


def reached(tail: str, go: int, opened: int | None = None) -> int:
    """Return up to where a text may go: ``go``, or where a token begins that may go on behind it.

    Args:
        tail: The end of the text; what has gone already may be among it.
        go: A boundary in it; everything before is judged.
        opened: Where a JSON string begins that reaches beyond ``go``, if one does.
    """
    base = max(0, go - MAX_REACH)
    seen = tail[base:go]
    found = base + min(_starts(seen), default=len(seen))
    if opened is not None and _HIDDEN.search(tail, max(opened, base), go) is not None:
        found = min(found, max(opened, base))
    return found


def begins(text: str, start: int) -> int:
    """Return where the notice for a match begins: behind letters that had to go before it was one.

    Of a token that is spelt letter by letter the first two tell nothing. They go when they come,
    so they go even if more has come by then: what the client sees must not depend on that.
    """
    first = _FIRST.match(text, start)
    if first is None:
        return start
    last = int(first.end(2) if first.start(2) < first.end(2) else first.end(1))
    while last > start and not text[last - 1].isspace():
        last -= 1
    return last


def _starts(seen: str) -> Iterator[int]:
    for pattern in (_CODES, _LINES):
        match = pattern.search(seen)
        if match is not None:
            yield match.start()
    before = max(0, len(seen) - MAX_PIECES)
    seen = seen[before:]
    bare = _unmarked(seen) if "\n" in seen or "\\" in seen else seen
    joined = bare.translate(_DROP)
    # One that is longer than its head is held only if that has digits.
    low = 0 if sum(map(joined.count, "0123456789")) >= MIN_DIGITS else max(0, len(joined) - HEAD + 1)
    match = _PIECES.search(joined, low)
    if match is None:
        return
    places = [i for i, c in enumerate(bare) if ord(c) not in _DROP]
    for _ in range(MAX_TRIES):
        start = places[match.start()]
        if _may_be_one(joined[match.start() :], bare[start:]):
            yield before + start
            return
        match = _PIECES.search(joined, match.start() + 1)
        if match is None:
            return
    yield before


def _unmarked(seen: str) -> str:
    """Return a text with spaces for escaped white space and for the markers of list items."""
    lines = seen.replace("\\n", " \n").replace("\\r", "  ").replace("\\t", "  ").split("\n")
    for index in range(1, len(lines)):
        width = _marker(lines[index])
        lines[index] = " " * width + lines[index][width:]
    return "\n".join(lines)


def _marker(line: str) -> int:
    """Return how long the marker is with which a line begins: ``-``, ``12.``, ``Part 3:``."""
    words = line[:MAX_MARKER].split(" ")
    width = 0
    for word in words[:-1]:
        width += len(word) + 1
        bare = word.strip("\t")
        if not bare or (bare.isalpha() and 3 <= len(bare) <= 12):
            continue
        number = bare[:-1].lstrip("#")
        return width if bare in _BULLETS or (bare[-1] in ".):" and number.isdigit()) else 0
    return 0


def _may_be_one(body: str, run: str) -> bool:
    """Whether pieces may become a token, rather than be a token already, or words.

    Args:
        body: The pieces put together, up to the end.
        run: The same with its gaps.
    """
    if len(body) < HEAD:
        return True
    if run.startswith(body[:HEAD]):
        return False
    return sum(map(str.isdigit, body[:HEAD])) >= MIN_DIGITS
