"""Bytes written as text: base64, base32, base85 and hex, and Python's and PowerShell's habits with them."""

from __future__ import annotations

import base64
import binascii
import codecs
import string
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import re2

from bartizan.features.envelope import Envelope
from bartizan.features.legible import readable

_BASE64: Final = re2.compile(
    r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*(?:\r?\n[A-Za-z0-9+/_-]+)?={0,2}"
)
_BASE32: Final = re2.compile(r"\b(?:[A-Z2-7]{24,}|[a-z2-7]{24,})(?:\r?\n[A-Za-z2-7]{8,})*={0,6}")
_HEX: Final = re2.compile(r"(?:0x|\\x)?[0-9a-fA-F]{2}(?:[,;:\-]?[ \n]?(?:0x|\\x)?[0-9a-fA-F]{2}){9,}")
_TO_DIGITS: Final = dict.fromkeys(map(ord, " :,;-\n"))
_BASE85: Final = re2.compile(r"<~[^~]{10,}~>|[!-~]{25,}")
_TO_STANDARD: Final = str.maketrans({"-": "+", "_": "/", "\r": None, "\n": None, "=": None})
_ADOBE: Final = frozenset(map(chr, range(33, 118))) | set("z \t\n\r")
_RFC1924: Final = frozenset(string.ascii_letters + string.digits + "!#$%&()*+-;<=>?@^_`{|}~")
_QUOTES: Final = "\"'`([{,;.)]}"
_ALPHABETS: Final = ((0.1, _ADOBE, base64.a85decode), (0.02, _RFC1924, base64.b85decode))
"""Least share of signs. Paths and addresses have signs as well, but not those of RFC 1924."""
_DECIMAL: Final = frozenset(string.digits + " ,;:\n")
_HEXADECIMAL: Final = frozenset(string.hexdigits)
MIN_TURNED: Final = 32
"""Characters of a run that is also tried backwards and through rot13."""
MIN_ALIGNED: Final = 32
ALIGNMENTS: Final = 4
"""A run of base64 that begins within a word starts at one of four places."""


def bases(text: str) -> Iterator[Envelope]:
    """Yield what runs of encoded bytes in ``text`` say; linear in it."""
    return chain.from_iterable(_envelopes(*kind, text) for kind in _KINDS)


def base85(text: str) -> Iterator[Envelope]:
    """Yield what runs of base85 say; its signs look like escapes, so it has to be read before those."""
    return _envelopes("base85", _BASE85, base85_text, text)


def _envelopes(name: str, pattern: Any, decode: Callable[[str], str], text: str) -> Iterator[Envelope]:
    for match in pattern.finditer(text):
        run = match.group()
        decoded, how = decode(run), name
        if not decoded and name in _TURNED and len(run) >= MIN_TURNED:
            decoded, how = _turned(name, run, decode)
        if decoded:
            yield Envelope(how, decoded, match.start(), match.end())


def _turned(name: str, run: str, decode: Callable[[str], str]) -> tuple[str, str]:
    """Return what a run says backwards or through rot13, and the name of it."""
    for how, again in (("reversed", run[::-1]), ("rot13", codecs.encode(run, "rot13"))):
        decoded = decode(again)
        if decoded:
            return decoded, f"{how}+{name}"
    return "", name


def hex_text(run: str) -> str:
    """Return the text in a run of hexadecimal digits, or ``""`` if there is none."""
    if " " in run and _DECIMAL.issuperset(run):
        return ""  # as likely decimal: left to those who try both
    digits = run.replace("0x", "").replace("\\x", "").translate(_TO_DIGITS)
    return readable(bytes.fromhex(digits[: len(digits) & ~1])) if _HEXADECIMAL.issuperset(digits) else ""


def base64_text(run: str) -> str:
    """Return the text in a base64 run (standard or URL alphabet), or ``""`` if there is none."""
    packed = run.translate(_TO_STANDARD)
    for skipped in range(ALIGNMENTS if len(packed) >= MIN_ALIGNED else 1):
        rest = packed[skipped:]
        rest = rest[: len(rest) - 1] if len(rest) % 4 == 1 else rest
        try:
            decoded = readable(base64.b64decode(rest + "=" * (-len(rest) % 4)))
        except (binascii.Error, ValueError):
            continue
        if decoded:
            return decoded
    return ""


def base32_text(run: str) -> str:
    """Return the text in a base32 run, or ``""`` if there is none."""
    packed = run.replace("\r", "").replace("\n", "").rstrip("=").upper()
    # Lengths that no number of bytes gives: the last characters belong to something else.
    packed = packed[: len(packed) - (len(packed) % 8 in (1, 3, 6))]
    try:
        return readable(base64.b32decode(packed + "=" * (-len(packed) % 8)))
    except (binascii.Error, ValueError):
        return ""


def base85_text(run: str) -> str:
    """Return the text in a run of base85 (Adobe's, or RFC 1924's as Python writes it), or ``""``."""
    body = run[2:-2] if run.startswith("<~") and run.endswith("~>") else run
    return _base85(body) or (_base85(body.strip(_QUOTES)) if body[0] in _QUOTES else "")


def _base85(body: str) -> str:
    signs = sum(not c.isalnum() for c in body)
    if "://" in body:
        return ""
    for least, alphabet, decode in _ALPHABETS:
        if signs < least * len(body) or not alphabet.issuperset(body):
            continue
        try:
            decoded = readable(decode(body))
        except ValueError:
            continue
        if decoded:
            return decoded
    return ""


_KINDS: Final = (
    ("hex", _HEX, hex_text),
    ("base32", _BASE32, base32_text),
    ("base64", _BASE64, base64_text),
    ("base85", _BASE85, base85_text),
)
_TURNED: Final = frozenset({"hex", "base64"})
