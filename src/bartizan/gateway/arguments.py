"""Where a notice may stand in the arguments of a tool call, so that they stay JSON.

Arguments are read as they grow, one character after another, without being parsed: all that
counts is what stands inside a string, where its escapes are, and what is a number or a word.
Text that does not begin like an object or an array is no JSON, and is left as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import re2

Span = tuple[int, int]

_TOKEN: Final = re2.compile(r'"|\\u[0-9a-fA-F]{4}|(\\(?:u[0-9a-fA-F]{0,3})?\z)|\\(?s:.)')
"""What matters in a string: its end, its escapes, and (the group) one that is not complete yet."""
_OUTSIDE: Final = re2.compile(r'"|[^\s{}\[\]:,"]+')
_HIGH: Final = re2.compile(r"\\u[dD][89abAB]")
_LOW: Final = re2.compile(r"\\u[dD][c-fC-F]")


@dataclass(slots=True)
class Arguments:
    """The lexical structure of one tool call's arguments.

    Attributes:
        length: Characters read.
        inside: Spans inside strings, in order; the last one is open while its end is unknown.
        literals: Spans of what stands outside strings and is no punctuation.
        escapes: Spans of escapes.
    """

    length: int = 0
    inside: list[Span] = field(default_factory=list)
    literals: list[Span] = field(default_factory=list)
    escapes: list[Span] = field(default_factory=list)
    _rest: str = ""
    _in_string: bool = False
    _high: bool = False
    _is_json: bool | None = None

    def add(self, text: str) -> None:
        """Read on."""
        if self._is_json is None:
            begun = text.lstrip()
            self._is_json = begun[0] in "{[" if begun else None
        data = self._rest + text
        start = self.length - len(self._rest)
        self.length += len(text)
        if self._is_json:
            self._rest = data[self._read(data, start) :]

    def apart(self, spans: list[Span]) -> tuple[list[Span], set[int]]:
        """Return what of spans may go without the text ceasing to be JSON.

        Returns:
            Spans inside strings, widened to whole escapes, and whole literals; and where
            the literals begin, for what replaces one needs quotes.
        """
        if not self._is_json:
            return spans, set()
        found: list[Span] = []
        quoted: set[int] = set()
        for start, end in spans:
            for low, high in _overlapping(self.inside, start, end):
                a, b = max(low, start), min(high, end)
                for edge in (a, b - 1):
                    for first, last in _overlapping(self.escapes, edge, edge + 1):
                        a, b = min(a, first), max(b, last)
                found.append((a, b))
            for low, high in _overlapping(self.literals, start, end):
                found.append((low, high))
                quoted.add(low)
        return sorted(found), quoted

    def after(self, place: int) -> int:
        """Return a place, or the end of the escape that it is in the middle of."""
        for first, last in _overlapping(self.escapes, place, place + 1):
            return last if first < place else place
        return place

    def opened(self, place: int) -> int | None:
        """Return where the string begins that is not over at a place, if there is one."""
        if self.inside and self.inside[-1][0] <= place <= self.inside[-1][1]:
            return self.inside[-1][0]
        return None

    def forget(self, upto: int) -> None:
        """Forget what ends before a place."""
        for spans in (self.inside, self.literals, self.escapes):
            count = 0
            while count < len(spans) - 1 and spans[count][1] < upto:
                count += 1
            del spans[:count]

    def _read(self, data: str, start: int) -> int:
        """Read what can be told; return where the undecided rest begins."""
        at = 0
        while at < len(data):
            if not self._in_string:
                at = self._between(data, start, at)
                continue
            match = _TOKEN.search(data, at)
            closed = match is not None and match.group() == '"'
            self.inside[-1] = (self.inside[-1][0], start + (match.start() if closed else len(data)))
            if match is None:
                return len(data)
            if match.group(1) is not None:
                return int(match.start())
            if closed:
                self._in_string, self._high = False, False
            else:
                self._escape(match.group(), start + match.start())
            at = match.end()
        return at

    def _escape(self, run: str, place: int) -> None:
        """Note an escape; the two halves of a pair of surrogates are one."""
        span = (place, place + len(run))
        if self._high and self.escapes and self.escapes[-1][1] == place and _LOW.match(run) is not None:
            span = (self.escapes.pop()[0], span[1])
        self.escapes.append(span)
        self._high = _HIGH.match(run) is not None

    def _between(self, data: str, start: int, at: int) -> int:
        match = _OUTSIDE.search(data, at)
        if match is None:
            return len(data)
        if match.group() == '"':
            self._in_string = True
            self.inside.append((start + match.end(), start + match.end()))
            return int(match.end())
        span = (start + match.start(), start + match.end())
        if self.literals and self.literals[-1][1] == span[0]:
            span = (self.literals.pop()[0], span[1])
        self.literals.append(span)
        return int(match.end())


def _overlapping(spans: list[Span], start: int, end: int) -> list[Span]:
    """Return the spans that share a character with another, or hold it; both in order."""
    first = max(bisect_right(spans, (start, start)) - 1, 0)
    out: list[Span] = []
    for low, high in spans[first:]:
        if low >= end:
            break
        if high > start:
            out.append((low, high))
    return out
