"""Characters written as numbers or signals: binary, octal, decimal, Morse, alphabet positions.

Lists of numbers are common and seldom messages, so what comes out must read like language.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import re2

from bartizan.features.characters import INVISIBLE_SET
from bartizan.features.envelope import Envelope
from bartizan.features.legible import MIN_WORDS, fluent, foreign, readable
from bartizan.features.meaning import meaningful

MIN_WORDS_IN_NUMBERS: Final = 3
MIN_MULTIBYTE: Final = 8

_BINARY: Final = re2.compile(r"\b(?:0b)?[01]{7,8}(?:[ ,;\n]{0,3}(?:0b)?[01]{7,8}){4,}\b")
_NUMBERS: Final = re2.compile(r"\b[0-9]{2,3}(?:[ ,;\n|]{1,3}[0-9]{2,3}){9,}\b")
_CALLS: Final = re2.compile(
    r"(?i)(?:\b(?:chr|char|fromcharcode)\$?\( {0,3}(?:0x)?[0-9a-f]{1,3} {0,3}\)[ \n]*[+.&|,~]{0,2}[ \n]*){4,}"
)
_NUMBER: Final = re2.compile(r"\(\s*(0x[0-9a-f]{1,3}|[0-9]{1,3})")
_MORSE: Final = re2.compile(r"[.\-]{1,6}(?:(?: {1,3}|\n| {0,2}[/|] {0,2})[.\-]{1,6}){9,}")
_POSITIONS: Final = re2.compile(r"\b[0-9]{1,2}(?:[\- /,|.]{1,3}[0-9]{1,2}){11,}\b")
_TO_ASCII_MORSE: Final = str.maketrans({"•": ".", "·": ".", "–": "-", "—": "-", "−": "-", "_": "-"})
_SIGNALS: Final = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- "
    "-.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. .-.-.- --..-- ..--.. -.-.-- "
    "-....- -..-. .----. -.--. -.--.- .-..-. ---... -.-.-. -...- .--.-. ..--.-"
)
MORSE_CODE: Final = dict(
    zip(_SIGNALS.split(), "abcdefghijklmnopqrstuvwxyz0123456789.,?!-/'()\":;=@_", strict=True)
)


def numeric(text: str) -> Iterator[Envelope]:
    """Yield what runs of character codes in ``text`` say; linear in it."""
    if "00" in text or "11" in text:
        for m in _BINARY.finditer(text):
            yield from _envelope("binary", _bits(m.group()), m)
    for m in _NUMBERS.finditer(text):
        found = _numbers(m.group())
        if found:
            yield from _envelope(*found, m)
    if "(" in text:
        for m in _CALLS.finditer(text):
            numbers = [int(n.group(1).lower(), 0) for n in _NUMBER.finditer(m.group().lower())]
            yield from _envelope("character codes", _characters(numbers), m)
    for m in _POSITIONS.finditer(text):
        yield from _envelope("alphabet positions", _letters(m.group()), m)


def _envelope(name: str, text: str, match: Any) -> Iterator[Envelope]:
    if text:
        yield Envelope(name, text, match.start(), match.end())


def _bits(run: str) -> str:
    groups = run.replace("0b", "").replace(",", " ").replace(";", " ").split()
    if len(groups) > 1 and len({len(g) for g in groups}) == 1 and len(groups[0]) in (7, 8):
        return readable(bytes(int(g, 2) for g in groups))
    bits = "".join(groups)
    whole = len(bits) - len(bits) % 8
    return readable(int(bits[:whole], 2).to_bytes(whole // 8)) if len(bits) <= MAX_BITS else _long(bits)


MAX_BITS: Final = 1 << 17
"""Reading a number of more binary digits would still be linear, but nobody reads that many."""


def _long(bits: str) -> str:
    return readable(int(bits[:MAX_BITS], 2).to_bytes(MAX_BITS // 8))


def _numbers(run: str) -> tuple[str, str] | None:
    """Return the base that makes a sentence of the numbers, else one that makes an envelope of them."""
    groups = run.replace(",", " ").replace(";", " ").replace("|", " ").split()
    even = all(len(g) == 3 for g in groups)
    bases = (("octal", 8), ("decimal", 10), ("hex", 16)) if even else _BASES
    read = [(name, text) for name, base in bases if (text := _in_base(groups, base))]
    return next((r for r in read if fluent(r[1], MIN_WORDS_IN_NUMBERS)), read[0] if read else None)


_BASES: Final = (("decimal", 10), ("octal", 8), ("hex", 16))


def _in_base(groups: list[str], base: int) -> str:
    try:
        return _characters([int(g, base) for g in groups])
    except ValueError:
        return ""


def _characters(numbers: list[int]) -> str:
    if not all(9 <= n < 256 for n in numbers):
        return ""
    try:
        text = bytes(numbers).decode()
    except UnicodeDecodeError:
        text = bytes(numbers).decode("latin-1")
    else:
        # Numbers do not form characters of several bytes by chance.
        if len(text) + MIN_MULTIBYTE <= len(numbers) and readable(bytes(numbers)):
            return text
    plain = all(c.isprintable() or c in "\t\r\n" or c in INVISIBLE_SET for c in text)
    return text if plain and (foreign(text) or meaningful(text, MIN_WORDS_IN_NUMBERS)) else ""


def morse(text: str) -> Iterator[Envelope]:
    """Yield what runs of dots and dashes in ``text`` say; linear in it."""
    signals = text if text.isascii() else text.translate(_TO_ASCII_MORSE)
    if signals.count(".") < MIN_WORDS or signals.count("-") < MIN_WORDS:
        return
    for m in _MORSE.finditer(signals):
        said = _signalled(m.group())
        if said:
            yield Envelope("Morse", said, m.start(), m.end())


def _signalled(run: str) -> str:
    words = run.replace("/", "  ").replace("|", "  ").replace("\n", "  ").replace("   ", "  ").split("  ")
    letters = [[MORSE_CODE.get(code) for code in word.split()] for word in words]
    flat = [c for word in letters for c in word]
    if flat.count(None) > len(flat) // 10:
        return ""
    text = " ".join("".join(c or "" for c in word) for word in letters if word)
    return text if meaningful(text, MIN_WORDS_IN_NUMBERS) else ""


def _letters(run: str) -> str:
    """Return ``9-7-14-15-18-5 1-12-12`` as words, where that makes a sentence."""
    words = run.replace(",", " ").replace("/", " ").replace("|", " ").split()
    spelt = []
    for word in words:
        numbers = [int(n) for n in word.replace(".", "-").split("-") if n]
        if not all(1 <= n <= 26 for n in numbers):
            return ""
        spelt.append("".join(chr(96 + n) for n in numbers))
    text = " ".join(spelt)
    return text if fluent(text, MIN_WORDS) else ""
