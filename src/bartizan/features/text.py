"""The text a model reads, as opposed to the text that was written.

Disguises are undone before anybody judges: compatibility forms, invisible characters,
look-alike letters, spaced or leet spelling, escapes. Envelopes (base64, hex, tag characters,
rot13, reversal) become views beside the text. What was undone is kept as flags, so that
"it was encoded" stays a separate signal and never part of a model's score.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import re2

from bartizan.features.characters import HOMOGLYPHS, INVISIBLE_SET, FoldTable
from bartizan.features.decoding import (
    MAX_VIEW_CHARS,
    MAX_VIEWS,
    Envelope,
    disguises,
    envelopes,
    spellings,
)
from bartizan.features.traced import Edit, Traced
from bartizan.types import Part

LIMIT: Final = 65_536
"""Characters of one part that are read; beyond it head, tail and evenly spaced excerpts are."""
EXCERPTS: Final = 16
MAX_DEPTH: Final = 2
"""An envelope inside an envelope is opened; a third one is not."""
MIN_LEET_WORDS: Final = 4
LEET_SHARE: Final = 0.3

_FOLD: Final = FoldTable()
_LOOKS_LATIN: Final = "".join(sorted(HOMOGLYPHS))
_MIXED: Final = re2.compile(
    f"[a-z]+[{_LOOKS_LATIN}][a-z{_LOOKS_LATIN}]*|[{_LOOKS_LATIN}]+[a-z][a-z{_LOOKS_LATIN}]*"
)
_LOOKALIKE_WORD: Final = re2.compile(f"[a-z{_LOOKS_LATIN}]+")
_FOREIGN: Final = frozenset(map(chr, range(0x0370, 0x0590)))
"""Letters of the Greek, Cyrillic and Armenian blocks, where nearly all look-alikes live."""
_TO_LATIN: Final = str.maketrans(HOMOGLYPHS)
_SPACED: Final = re2.compile(r"(?:\b[a-z][ .\-*] {0,6}){5,}[a-z]\b")
_WIDE: Final = re2.compile(r" {2,}")
_SEPARATORS: Final = dict.fromkeys(map(ord, " .-*"))
_LEET: Final = re2.compile(r"\b[a-z]*(?:[a-z][013457@$]|[013457@$][a-z])[a-z0134578@$]*")
_FROM_LEET: Final = str.maketrans("0134578@$", "oieastbas")


@dataclass(frozen=True, slots=True)
class View:
    """What an envelope in the text says, folded like the text itself.

    Attributes:
        name: The encodings, outermost first, such as ``base64`` or ``base64+rot13``.
        text: The message.
        span: Where the envelope stands in the part's own text.
    """

    name: str
    text: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CanonicalText:
    """A part's text as a model reads it.

    Attributes:
        body: The folded text, with the way back to the part's own offsets.
        views: What its envelopes say.
        flags: Which disguises were undone.
        judged: How many of the part's characters were read.
    """

    body: Traced
    views: tuple[View, ...] = ()
    flags: frozenset[str] = frozenset()
    judged: int = 0


def encodable(text: str) -> str:
    """Return ``text`` with lone surrogates, which UTF-8 can't hold, as question marks.

    JSON lets a peer send them; RE2 works on UTF-8. Offsets stay the same.
    """
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def judged_chars(part: Part) -> int:
    """Return how many characters of a part :func:`canonical` reads."""
    return min(len(part.text), LIMIT)


def canonical(part: Part) -> CanonicalText:
    """Return a part's text with its disguises undone.

    Linear in the text, and bounded by ``LIMIT`` characters, ``MAX_VIEWS`` views of
    ``MAX_VIEW_CHARS`` characters together, and ``MAX_DEPTH`` envelopes inside each other.
    Never raises.
    """
    read = Traced(encodable(part.text), None, len(part.text)).splice(_gaps(len(part.text)))
    flags: set[str] = set()
    found: list[tuple[str, str, tuple[int, int]]] = []
    edits: list[Edit] = []
    for envelope in envelopes(read.text):
        if len(found) == MAX_VIEWS:
            break
        flags.add(envelope.name)
        found.append((envelope.name, envelope.text, read.source_span(envelope.start, envelope.end)))
        if envelope.name != "tags" and (not edits or envelope.start >= edits[-1][1]):
            edits.append((envelope.start, envelope.end, " "))
    body = _fold(read.splice(sorted(edits)), flags)
    found += [(e.name, e.text, (0, len(part.text))) for e in disguises(body.text)]
    views = _open(found, flags)
    return CanonicalText(body, views, frozenset(flags), judged_chars(part))


def _gaps(size: int) -> list[Edit]:
    """Return the edits that cut what is beyond the limit, leaving evenly spaced excerpts."""
    if size <= LIMIT:
        return []
    width = LIMIT // EXCERPTS
    starts = [round(i * (size - width) / (EXCERPTS - 1)) for i in range(EXCERPTS)]
    return [(a + width, b, "\n") for a, b in pairwise(starts) if b > a + width]


def _open(found: list[tuple[str, str, tuple[int, int]]], flags: set[str]) -> tuple[View, ...]:
    """Return the views of the messages found, and of those found in them, within the budget."""
    views: list[View] = []
    room = MAX_VIEW_CHARS
    for name, text, span in found:
        inner: list[Envelope] = []
        if name.count("+") < MAX_DEPTH - 1:
            inner = [*envelopes(text[:room])]
        for label, message in ((name, text), *((f"{name}+{e.name}", e.text) for e in inner)):
            if len(views) == MAX_VIEWS or room <= 0:
                return tuple(views)
            folded = _fold(Traced(message[:room], None, len(message[:room])), flags).text
            room -= len(folded)
            views.append(View(label, folded, span))
            room_for = disguises(folded) if "rot13" not in label and "reversed" not in label else ()
            for again in room_for:
                if len(views) < MAX_VIEWS and room > 0:
                    views.append(View(f"{label}+{again.name}", again.text[:room], span))
                    room -= len(again.text)
    return tuple(views)


def _fold(traced: Traced, flags: set[str]) -> Traced:
    """Return the text in one spelling, and note in ``flags`` what had to be undone."""
    edits = spellings(traced.text)
    if edits:
        flags.add("escaped")
        traced = traced.splice(edits)
    if traced.text.isascii():
        folded = Traced(traced.text.lower(), traced.offsets, traced.size)
    else:
        folded = _latin(_characters(traced, flags), flags)
    spaced = [(m.start(), m.end(), _despaced(m.group())) for m in _SPACED.finditer(folded.text)]
    if spaced:
        flags.add("spaced")
        folded = folded.splice(spaced)
    return _deleeted(folded, flags)


def _characters(traced: Traced, flags: set[str]) -> Traced:
    if not INVISIBLE_SET.isdisjoint(traced.text):
        flags.add("invisible")
    return traced.mapped([_FOLD[c] for c in traced.text])


def _latin(folded: Traced, flags: set[str]) -> Traced:
    """Replace look-alike letters in words of mixed script; everywhere if no real one remains."""
    letters = set(folded.text)
    if letters.isdisjoint(HOMOGLYPHS):
        return folded
    pattern = _LOOKALIKE_WORD if (letters & _FOREIGN) <= HOMOGLYPHS.keys() else _MIXED
    edits = [
        (m.start(), m.end(), m.group().translate(_TO_LATIN))
        for m in pattern.finditer(folded.text)
        if not m.group().isascii()
    ]
    if edits:
        flags.add("look-alike")
    return folded.splice(edits)


def _despaced(run: str) -> str:
    """``i g n o r e   a l l`` to ``ignore all``."""
    return " ".join(word.translate(_SEPARATORS) for word in _WIDE.split(run))


def _deleeted(folded: Traced, flags: set[str]) -> Traced:
    if folded.text.isalpha():
        return folded
    found = list(_LEET.finditer(folded.text))
    if len(found) < MIN_LEET_WORDS or len(found) < LEET_SHARE * (folded.text.count(" ") + 1):
        return folded
    flags.add("leet")
    return folded.splice([(m.start(), m.end(), m.group().translate(_FROM_LEET)) for m in found])
