"""Does a decoded text say something? Cheap tests that keep chance decodings from becoming views.

Function words (articles, prepositions, pronouns) make up a third of running text in European
languages and almost none of anything that isn't language, so their rate tells a right key from
a wrong one. They are counted in several languages at once; a word that is a function word of
one language read as it stands is never taken as one of another read through a cipher.
"""

from __future__ import annotations

from typing import Final

from bartizan.features.characters import INVISIBLE_SET

MIN_PRINTABLE: Final = 0.95
MIN_WORDS: Final = 6
PLAIN_RATE: Final = 0.06
READABLE_RATE: Final = 0.18
"""Share of function words below which a text is no running text, and above which it is."""
SHORT_LETTERS: Final = 0.8
MIN_PACKED: Final = 24
"""From this length on, being printable is proof enough (by chance: 5e-11 for ASCII): the text may be
another envelope, with any share of letters."""
UTF16_SHARE: Final = 0.4
"""Share of zero bytes from which data is UTF-16, as PowerShell encodes its commands."""

_WORDS: Final = {
    "en": "the a an of to and in is it that you for on with as this be are your all i my not from or me by "
    "what have was do can will how but at we if any about them they please now must",
    "de": "der die das und ist nicht ein eine mit von auf für zu den dem im ich du sie wir es alle dein "
    "deine bitte oder aber wie was kann wird sind",
    "fr": "le la les de des et est un une que qui dans pour pas sur avec ce vous tu je il tous toutes votre "
    "vos du au ou mais",
    "es": "el los las y es una que en por para con no se lo su tu todas todos del como pero sus",
    "it": "il di che non per una sono con gli alla della le tutte tutti tuo tue ma ed",
    "pt": "o os as e que não para com uma em por seu sua todas todos da do",
    "nl": "de het een en van niet dat je voor op zijn alle jouw maar ook naar",
    "ru": "и в не на что это с по как все я ты к из за от о для но мы вы его у бы ваши все",
    "pl": "i w nie na to się z do jest że jak wszystkie oraz twoje o za",
    "sv": "och att det som en på är av för med till den alla dina inte om",
    "tr": "ve bir bu için ile da de ne tüm olan gibi",
}
FUNCTION_WORDS: Final = frozenset(word for words in _WORDS.values() for word in words.split())
COMMON_CHARACTERS: Final = frozenset(
    "的了是我你请不这把所有一您在和并のをはにでがてくださいしこ을를이가는은하"
)
COMMON_RATE: Final = 0.15
_EDGES: Final = ".,:;!?\"'()"


def function_rate(words: list[str]) -> float:
    """Return the share of function words among ``words``, in any case and with punctuation."""
    return sum(w.lower().strip(_EDGES) in FUNCTION_WORDS for w in words) / max(1, len(words))


def fluent(text: str, least: int = MIN_WORDS) -> bool:
    """Return whether a text reads like a sentence of at least ``least`` words.

    Chinese and Japanese have no spaces; their commonest characters stand in for words.
    """
    words = text.lower().split()
    known = [w for word in words if (w := word.strip(_EDGES)) in FUNCTION_WORDS and len(w) > 1]
    if len(words) >= least and len(known) >= READABLE_RATE * len(words) and len(set(known)) > 1:
        return True
    return not text.isascii() and _common(text) >= max(2, COMMON_RATE * len(text))


def _common(text: str) -> int:
    return sum(c in COMMON_CHARACTERS for c in text)


def foreign(text: str) -> bool:
    """Return whether a text is mostly letters of scripts other than Latin."""
    return not text.isascii() and sum(c.isalpha() and c > "\u02ff" for c in text) >= len(text) // 2


def readable(data: bytes) -> str:
    """Return ``data`` as text if that is what it is, else ``""``."""
    if len(data) >= 8 and data.count(0) >= UTF16_SHARE * len(data):
        return _checked(data[: len(data) & ~1].decode("utf-16-le", "replace"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        # A cut run ends in half a character; anything earlier is binary.
        if error.start < len(data) - 3 or error.start < MIN_WORDS:
            return ""
        text = data[: error.start].decode()
    return _checked(text)


def _checked(text: str) -> str:
    hidden = 0 if text.isascii() else sum(c in INVISIBLE_SET for c in text)
    blank = text.count("\n") + text.count("\t") + text.count("\r")
    size = len(text) - hidden
    if not text or sum(map(str.isprintable, text)) + blank < MIN_PRINTABLE * size:
        return ""
    if size >= MIN_PACKED or hidden >= MIN_PACKED:
        return text
    # Identifiers decode to short text by chance; so it must be nothing but words.
    letters = sum(map(str.isalnum, text)) + text.count(" ")
    return text if letters >= SHORT_LETTERS * size and (text.isascii() or foreign(text)) else ""
