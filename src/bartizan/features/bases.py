"""Bytes written as text: base64, base32, base85 and hex, and Python's and PowerShell's habits with them."""

from __future__ import annotations

import base64
import binascii
import string
from collections.abc import Iterator
from typing import Final

import re2

from bartizan.features.envelope import Envelope
from bartizan.features.legible import readable

_BASE64: Final = re2.compile(
    r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*(?:\r?\n[A-Za-z0-9+/_-]+)?={0,2}"
)
_BASE32: Final = re2.compile(r"\b(?:[A-Z2-7]{24,}|[a-z2-7]{24,})(?:\r?\n[A-Za-z2-7]{8,})*={0,6}")
_HEX: Final = re2.compile(r"(?:0x|\\x)?[0-9a-fA-F]{2}(?:(?:[ :\-\n]|\\x|, ?(?:0x)?|;)?[0-9a-fA-F]{2}){9,}")
_TO_DIGITS: Final = dict.fromkeys(map(ord, " :,;-\n"))
_BASE85: Final = re2.compile(r"<~[^~]{10,}~>|[!-~]{25,}")
_TO_STANDARD: Final = str.maketrans({"-": "+", "_": "/", "\r": None, "\n": None, "=": None})
_ADOBE: Final = frozenset(map(chr, range(33, 118))) | set("z \t\n\r")
_RFC1924: Final = frozenset(string.ascii_letters + string.digits + "!#$%&()*+-;<=>?@^_`{|}~")
MIN_SIGNS: Final = 0.1
"""Share of signs in base85, whose alphabet has a quarter to a third of them; paths have fewer."""
MIN_ALIGNED: Final = 32
ALIGNMENTS: Final = 4
"""A run of base64 that begins within a word starts at one of four places."""


def bases(text: str) -> Iterator[Envelope]:
    """Yield what runs of encoded bytes in ``text`` say; linear in it."""
    for match in _HEX.finditer(text):
        digits = match.group().replace("0x", "").replace("\\x", "").translate(_TO_DIGITS)
        decoded = readable(bytes.fromhex(digits[: len(digits) & ~1]))
        if decoded:
            yield Envelope("hex", decoded, match.start(), match.end())
    for match in _BASE32.finditer(text):
        decoded = base32_text(match.group())
        if decoded:
            yield Envelope("base32", decoded, match.start(), match.end())
    for match in _BASE64.finditer(text):
        decoded = base64_text(match.group())
        if decoded:
            yield Envelope("base64", decoded, match.start(), match.end())
    for match in _BASE85.finditer(text):
        decoded = base85_text(match.group())
        if decoded:
            yield Envelope("base85", decoded, match.start(), match.end())


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
    signs = sum(not c.isalnum() for c in body)
    if signs < MIN_SIGNS * len(body) or "://" in body:
        return ""
    for alphabet, decode in ((_ADOBE, base64.a85decode), (_RFC1924, base64.b85decode)):
        if not alphabet.issuperset(body):
            continue
        try:
            decoded = readable(decode(body))
        except ValueError:
            continue
        if decoded:
            return decoded
    return ""
