"""Reading one text: what is undone in place, and which messages it carries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from bartizan.features.bases import base85, bases
from bartizan.features.characters import INVISIBLE_SET, Memo, inked, lowered
from bartizan.features.ciphers import ciphers
from bartizan.features.codes import morse, numeric
from bartizan.features.containers import containers
from bartizan.features.direction import flags_as_letters, turned
from bartizan.features.envelope import Envelope
from bartizan.features.latin import deleeted, latin
from bartizan.features.reassembly import hyphens, lines, strings
from bartizan.features.spellings import spellings
from bartizan.features.traced import Edit, Traced
from bartizan.features.triggers import Trigger, triggers
from bartizan.features.unseen import unseen
from bartizan.features.unspaced import unspaced
from bartizan.features.wrapping import unwrapped

MAX_ROUNDS: Final = 4
"""Spellings of spellings, such as ``%2569``, that are undone."""
MAX_FOUND: Final = 512
"""Messages that one text can carry."""

_INKED: Final = Memo(inked)
_LOWERED: Final = Memo(lowered)

Found = tuple[str, str, tuple[int, int]]
"""Name, message, and the span it stands at in the source."""


def opened(read: Traced, flags: set[str]) -> tuple[Traced, list[Found]]:
    """Return a text in one spelling, without what is encoded in it, and the messages it carries.

    Args:
        read: The text as it was written.
        flags: Receives the names of what had to be undone.
    """
    found: list[Found] = []
    plain, fired = _plain(read, flags, found)
    encoded = _taken(_encoded(plain.text, fired))
    found += _placed(encoded, plain)
    flags.update(e.name for e in encoded)
    cut = plain.splice(_cuts(encoded)) if encoded else plain
    beside = _taken(_beside(cut.text, fired))
    found += _placed(beside, cut)
    return _folded(cut, flags), found


def _encoded(text: str, fired: frozenset[int]) -> Iterator[Envelope]:
    """Yield what is to be cut out of the text once it is read."""
    if Trigger.RUN in fired or Trigger.NUMBERS in fired:
        yield from bases(text)
    if not fired.isdisjoint((Trigger.RUN, Trigger.NUMBERS, Trigger.CALLS)):
        yield from numeric(text)
    if Trigger.SIGNALS in fired:
        yield from morse(text)


def _beside(text: str, fired: frozenset[int]) -> Iterator[Envelope]:
    """Yield what stays in the text as well."""
    yield from ciphers(text)
    if Trigger.MARKUP in fired:
        yield from containers(text)
    if Trigger.STRINGS in fired:
        yield from strings(text)
    yield from lines(text)
    yield from hyphens(text)


def _taken(envelopes: Iterator[Envelope]) -> list[Envelope]:
    return [envelope for envelope, _ in zip(envelopes, range(MAX_FOUND), strict=False)]


def _placed(envelopes: list[Envelope], traced: Traced) -> list[Found]:
    return [(e.name, e.text, traced.source_span(e.start, e.end)) for e in envelopes]


def _cuts(envelopes: list[Envelope]) -> list[Edit]:
    edits: list[Edit] = []
    for e in sorted(envelopes, key=lambda e: (e.start, -e.end)):
        if not edits or e.start >= edits[-1][1]:
            edits.append((e.start, e.end, " "))
    return edits


def _plain(read: Traced, flags: set[str], found: list[Found]) -> tuple[Traced, frozenset[int]]:
    """Return the text in plain characters, each spelt as itself, case kept, and its triggers."""
    traced = _characters(read, flags, found)
    fired = triggers(traced.text)
    for _ in range(MAX_ROUNDS):
        if Trigger.ESCAPES not in fired:
            break
        early = _taken(base85(traced.text))
        found += _placed(early, traced)
        flags.update(e.name for e in early)
        traced = traced.splice(_cuts(early))
        edits = spellings(traced.text)
        if not edits:
            break
        flags.add("escaped")
        traced = _characters(traced.splice(edits), flags, found)
        fired = triggers(traced.text)
    edits = unspaced(traced.text) if Trigger.LETTERS in fired else []
    if edits:
        flags.add("spaced")
        traced = traced.splice(edits)
        fired = triggers(traced.text)
    return traced.splice(unwrapped(traced.text)), fired


def _characters(traced: Traced, flags: set[str], found: list[Found]) -> Traced:
    """Return the text in plain characters, and add to ``found`` what the invisible ones say."""
    if traced.text.isascii():
        return traced
    unread = _taken(chain(unseen(traced.text), turned(traced.text)))
    found += _placed(unread, traced)
    flags.update(e.name for e in unread)
    if not INVISIBLE_SET.isdisjoint(traced.text):
        flags.add("invisible")
    if any("\U0001f1e6" <= c <= "\U0001f1ff" for c in set(traced.text)):
        traced = traced.splice(flags_as_letters(traced.text))
    return _mapped(traced, _INKED)


def _folded(traced: Traced, flags: set[str]) -> Traced:
    if traced.text.isascii():
        return deleeted(Traced(traced.text.lower(), traced.offsets, traced.size), flags)
    return deleeted(latin(_mapped(traced, _LOWERED), flags), flags)


def _mapped(traced: Traced, memo: Memo) -> Traced:
    """Return the text with each character mapped; in C where no character changes its length."""
    changed = {ord(c): memo[c] for c in set(traced.text) if memo[c] != c}
    if not changed:
        return traced
    if all(len(new) == 1 for new in changed.values()):
        return Traced(traced.text.translate(changed), traced.offsets, traced.size)
    return traced.mapped([memo[c] for c in traced.text])
