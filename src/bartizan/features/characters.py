"""Which characters are invisible, which look alike, and what one character folds to.

References:
    Unicode Standard Annex #9 (bidirectional text), #15 (normalisation), #44 (properties);
    Unicode Technical Standard #39 (confusables), #51 (emoji).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

TAGS: Final = "\U000e0000-\U000e007f"
BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
ZERO_WIDTH: Final = "\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff"
FILLERS: Final = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u1d173-\u1d17a".replace(
    "\u1d173-\u1d17a", "\U0001d173-\U0001d17a"
)
SELECTORS: Final = "\ufe00-\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef"
SOFT_HYPHEN: Final = "\u00ad"
ANNOTATIONS: Final = "\ufff9-\ufffb"
INVISIBLE: Final = TAGS + BIDI + ZERO_WIDTH + FILLERS + SELECTORS + SOFT_HYPHEN + ANNOTATIONS
"""Body of an RE2 character class: every code point that usually leaves no ink."""

# Letters of other scripts that are drawn like an ASCII letter. Only what looks the same in
# ordinary sans-serif faces; a wider table would damage real Greek and Cyrillic words.
_LOOKALIKE: Final = (
    ("\u0430\u0251\u03b1\u0391\u0410", "a"),
    ("\u0432\u0412\u0392", "b"),
    ("\u0441\u0421\u03f2\u03f9", "c"),
    ("\u0501\u0500", "d"),
    ("\u0435\u0415\u0395\u04bd\u0454\u03b5", "e"),
    ("\u0261", "g"),
    ("\u04bb\u04ba\u041d\u0397\u043d", "h"),
    ("\u0456\u0406\u0131\u03b9\u0399\u04cf", "i"),
    ("\u0458\u0408\u03f3", "j"),
    ("\u043a\u041a\u03ba\u039a", "k"),
    ("\u04c0", "l"),
    ("\u041c\u043c\u039c", "m"),
    ("\u03b7\u0578\u039d", "n"),
    ("\u043e\u041e\u03bf\u039f\u03c3\u0585", "o"),
    ("\u0440\u0420\u03c1\u03a1", "p"),
    ("\u051b\u051a", "q"),
    ("\u0433\u0491", "r"),
    ("\u0455\u0405", "s"),
    ("\u0442\u0422\u03c4\u03a4", "t"),
    ("\u03c5\u057d\u0446", "u"),
    ("\u03bd\u0475\u0474", "v"),
    ("\u0461\u051d\u051c\u03c9", "w"),
    ("\u0445\u0425\u03c7\u03a7", "x"),
    ("\u0443\u0423\u04af\u04ae\u03b3\u03a5", "y"),
    ("\u0396", "z"),
)
HOMOGLYPHS: Final[dict[str, str]] = {c: latin for group, latin in _LOOKALIKE for c in group} | {
    c.lower(): latin for group, latin in _LOOKALIKE for c in group
}
"""Look-alike letter to lower-case ASCII letter, for folded text."""

# Letters that compatibility normalisation leaves alone: small capitals, white on black, Braille.
_SMALL_CAPITALS: Final = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True))
_BLACK: Final = {chr(first + i): chr(97 + i) for first in (0x1F150, 0x1F170) for i in range(26)}
_BRAILLE: Final = dict(zip("⠀⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", " abcdefghijklmnopqrstuvwxyz", strict=True))
LETTERLIKE: Final[dict[str, str]] = _SMALL_CAPITALS | _BLACK | _BRAILLE
REGIONAL: Final = "\U0001f1e6-\U0001f1ff"
"""Regional indicators: two make a flag."""

_COMBINING: Final = range(0x0300, 0x0370)


MAX_EXPANSION: Final = 4
"""A character that stands for more is left as it is: U+FDFA stands for 18, a whole blessing."""


def _ranges(body: str) -> frozenset[str]:
    out: list[str] = []
    i = 0
    while i < len(body):
        if body[i + 1 : i + 2] == "-":
            out.extend(map(chr, range(ord(body[i]), ord(body[i + 2]) + 1)))
            i += 3
        else:
            out.append(body[i])
            i += 1
    return frozenset(out)


INVISIBLE_SET: Final = _ranges(INVISIBLE)
TAG_SET: Final = _ranges(TAGS)


def inked(char: str) -> str:
    """Return what one character is in plain writing: NFKC, no accents on Latin, no ink no letter.

    Accents are dropped from Latin letters only, where they seldom change what is asked for
    and are cheap to add; in other scripts marks are part of the word.
    """
    if char in INVISIBLE_SET or ord(char) in _COMBINING:
        return ""
    if char in LETTERLIKE:
        return LETTERLIKE[char]
    folded = unicodedata.normalize("NFKC", char)
    if len(folded) > MAX_EXPANSION:
        return char
    apart = unicodedata.normalize("NFKD", folded)
    if apart[:1].isascii() and len(apart) > 1:
        folded = "".join(c for c in apart if ord(c) not in _COMBINING)
    return folded


def lowered(char: str) -> str:
    """Return one character in lower case, without the dot that a capital dotted I leaves behind."""
    return char.lower().replace("\u0307", "")


class Memo(dict[str, str]):
    """A function of one character, remembered; bounded by the number of code points."""

    def __init__(self, function: Callable[[str], str]) -> None:
        self._function = function

    def __missing__(self, char: str) -> str:
        """Compute, remember and return the function's value."""
        made = self[char] = self._function(char)
        return made
