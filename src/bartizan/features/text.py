"""The text a model reads, as opposed to the text that was written.

Disguises are undone before anybody judges: compatibility forms, invisible characters,
look-alike letters, spaced or leet spelling, escapes. What is encoded, hidden in markup, cut in
pieces or read through a cipher becomes a view beside the text. What was undone is kept as
flags, so that "it was encoded" stays a separate signal and never part of a model's score.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from bartizan.features.opening import Found, opened
from bartizan.features.traced import Traced
from bartizan.types import Part

LIMIT: Final = 65_536
"""Characters of one part that are read; beyond it head, tail and evenly spaced excerpts are."""
EXCERPTS: Final = 16
MAX_DEPTH: Final = 8
"""Envelopes inside each other that are opened."""
MAX_VIEWS: Final = 16
MAX_VIEW_CHARS: Final = 32_768
"""All views of one text together."""
MAX_OPENED_CHARS: Final = 2 * LIMIT
"""All messages that are searched for further messages, views or not."""
MAX_NAME: Final = 120
"""Characters of a view's name."""
UNOPENED: Final = "unopened"
"""Flag of a text that holds more messages than the limits allow to read."""


@dataclass(frozen=True, slots=True)
class View:
    """What a message in the text says, folded like the text itself.

    Attributes:
        name: How it was written, outermost first, such as ``HTML comment`` or ``base64+rot13``.
        text: The message.
        span: Where it stands in the part's own text.
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
    ``MAX_VIEW_CHARS`` characters together, ``MAX_DEPTH`` envelopes inside each other and
    ``MAX_OPENED_CHARS`` characters of envelopes. What is beyond is flagged ``unopened``.
    Never raises.
    """
    flags: set[str] = set()
    body, found = opened(_excerpts(part.text, LIMIT), flags)
    views = _views(found, body.text, flags) if found else ()
    return CanonicalText(body, views, frozenset(flags), judged_chars(part))


def _excerpts(text: str, limit: int) -> Traced:
    """Return a text cut to ``limit`` characters: head, tail and evenly spaced excerpts."""
    size = len(text)
    if size <= limit:
        return Traced(encodable(text), None, size)
    width = limit // EXCERPTS
    starts = [round(i * (size - width) / (EXCERPTS - 1)) for i in range(EXCERPTS)]
    # A space after the line end keeps two excerpts of one encoded run from being read as one.
    pieces = [f"{encodable(text[a : a + width])}\n " for a in starts]
    offsets = np.concatenate([np.minimum(np.arange(a, a + width + 2), a + width) for a in starts])
    return Traced("".join(pieces)[:-2], offsets[:-2], size)


def _views(found: list[Found], body: str, flags: set[str]) -> tuple[View, ...]:
    """Return the views of the messages found, and of those found in them, within the budget."""
    views: list[View] = []
    seen = {body}
    room, work = MAX_VIEW_CHARS, MAX_OPENED_CHARS
    waiting = deque((message, 1) for message in found)
    while waiting:
        (name, message, span), depth = waiting.popleft()
        if room <= 0 or work <= 0:
            flags.add(UNOPENED)
            break
        message = _excerpts(message, min(LIMIT, work)).text
        work -= len(message)
        folded, inner = opened(Traced(message, None, len(message)), flags)
        text = _excerpts(folded.text, room).text
        if text not in seen and any(map(str.isalnum, text)):
            seen.add(text)
            room -= len(text)
            _add(views, View(name, text, span))
        if depth < MAX_DEPTH:
            waiting.extend(((f"{name}+{n}", t, span), depth + 1) for n, t, _ in inner)
        elif inner:
            flags.add(UNOPENED)
    return tuple(views)


def _add(views: list[View], view: View) -> None:
    """Add a view; when there are too many, the last one takes in the others."""
    if len(views) < MAX_VIEWS:
        views.append(view)
        return
    last = views[-1]
    name = last.name if last.name.endswith(view.name) else f"{last.name} and {view.name}"
    name = name if len(name) < MAX_NAME else last.name
    span = (min(last.span[0], view.span[0]), max(last.span[1], view.span[1]))
    views[-1] = View(name, f"{last.text}\n{view.text}", span)
