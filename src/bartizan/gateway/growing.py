"""One growing text of a streamed answer: how much of it can be judged, and how much let go.

A *boundary* is white space or a visible non-ASCII character: no token reaches across one.
What has been judged up to a boundary can go, save for the few matches that do reach across:
a key in several lines, a name that tells what the token after it is, and a token in pieces or
in codes (:mod:`bartizan.gateway.reaching`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import re2

from bartizan.features.characters import INVISIBLE, INVISIBLE_SET
from bartizan.gateway.arguments import Arguments
from bartizan.gateway.reaching import reached
from bartizan.types import PartKind

WINDOW: Final = 1024
"""Characters already judged that are looked at again together with new text."""

MAX_HOLD: Final = 8192
"""Characters held back for want of a boundary; beyond, all but the last ``KEPT`` are let go."""

KEPT: Final = 4096
"""The longest token that is surely seen whole before any of it is let go."""

REACH: Final = 64
"""How far before a token the name stands that makes it a secret (``aws_secret_access_key = ...``)."""

MAX_KEY: Final = 32_768
"""The longest key block that is held back until its end."""


def _spaced(word: str) -> str:
    """Return a pattern for a word with invisible characters anywhere in it."""
    return "".join(f"{char}[{INVISIBLE}]*" for char in word)


_BEGIN: Final = _spaced("-----BEGIN") + f"[A-Z0-9 {INVISIBLE}]{{0,64}}"
_KEY_START: Final = re2.compile(f"{_BEGIN}?{_spaced('PRIVATE KEY')}|{_spaced('Private-Lines:')}")
_MAYBE_KEY_START: Final = re2.compile(f"{_BEGIN}$")
_KEY_END: Final = re2.compile(
    rf"-----END [A-Z0-9 ]{{3,40}}-----|[^A-Za-z0-9+/=\s:,.\\>|*()\-{INVISIBLE}]|Private-MAC"
)
_LONGEST_MARK: Final = 512
_NAME: Final = re2.compile(r"(?i)secret|aws")


@dataclass(slots=True)
class Growing:
    """A text that arrives piece by piece.

    The whole is kept in pieces; only its tail, from ``WINDOW`` before ``judged`` on, is kept
    joined, so that the work per piece does not grow with the text.

    Attributes:
        path: JSON Pointer of the text.
        kind: ``TEXT`` or ``TOOL_CALL``.
        length: Characters so far.
        judged: Everything before is judged and may be let go.
        tail: The end of the text.
        tail_start: Where ``tail`` begins in the text.
        arguments: The structure of a tool call's arguments; ``None`` for other texts.
    """

    path: str
    kind: PartKind
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    judged: int = 0
    tail: str = ""
    tail_start: int = 0
    arguments: Arguments | None = None
    _edge: int = 0
    _key: int = -1
    _scanned: int = 0

    def __post_init__(self) -> None:
        if self.kind is PartKind.TOOL_CALL:
            self.arguments = Arguments()

    def add(self, text: str) -> None:
        """Append a piece."""
        if self.arguments is not None:
            self.arguments.add(text)
        for index in range(len(text) - 1, -1, -1):
            if _parts_tokens(text[index]):
                self._edge = self.length + index + 1
                break
        self.pieces.append(text)
        self.length += len(text)
        self.tail += text

    def ready(self) -> tuple[int, int]:
        """Return up to where the text can be looked at, and up to where it can then be let go."""
        look = go = max(self._edge, self.judged)
        if self.length - go > MAX_HOLD:
            look, go = self.length, self.length - KEPT
        start = self.tail_start
        name = _NAME.search(self.tail, max(go - REACH - start, 0), go - start)
        if name is not None:
            go = start + name.start()
        if go <= self.judged:
            return look, go
        opened = None if self.arguments is None else self.arguments.opened(go)
        go = max(self.judged, start + reached(self.tail, go - start, opened and max(opened - start, 0)))
        key = self._open_key(look)
        return look, go if key is None else min(go, key)

    def window(self, upto: int) -> tuple[int, str]:
        """Return what is looked at to judge everything before ``upto``, and where that begins."""
        begin = max(self.tail_start, self.judged - WINDOW)
        return begin, self.tail[begin - self.tail_start : upto - self.tail_start]

    def overlong(self) -> bool:
        """Whether a key block goes on beyond what can be held back."""
        return self._key >= 0 and self.length - self._key > MAX_KEY

    def settle(self, upto: int) -> None:
        """Note that everything before ``upto`` is judged."""
        self.judged = upto
        drop = upto - WINDOW - self.tail_start
        if drop > WINDOW:
            self.tail = self.tail[drop:]
            self.tail_start += drop
            if self.arguments is not None:
                self.arguments.forget(self.tail_start)

    def _open_key(self, look: int) -> int | None:
        """Return where a key block begins that does not surely end before ``look``, if there is one."""
        tail, start = self.tail, self.tail_start
        at = max(self._scanned - start, 0)
        while True:
            if self._key < 0:
                begun = _KEY_START.search(tail, at)
                if begun is None:
                    maybe = _MAYBE_KEY_START.search(tail, at)
                    self._scanned = max(start + at, self.length - _LONGEST_MARK)
                    return None if maybe is None else start + maybe.start()
                self._key, at = start + begun.start(), begun.end()
            ended = _KEY_END.search(tail, at)
            if ended is None or start + ended.end() > look:
                self._scanned = max(start + at, min(look, self.length - _LONGEST_MARK))
                return self._key
            self._key, at = -1, ended.end()


def _parts_tokens(char: str) -> bool:
    return char.isspace() if char < "\x80" else char not in INVISIBLE_SET
