"""Letters for letters: rot13 and every other Caesar shift, Atbash, rot47, reversed text and reversed words.

One table holds what the function words of English (and, for rot13 and reversal, of other
languages) look like through each cipher. A text is split into words once and looked up once;
a stretch where the words of one cipher cluster, and no plain ones stand between them, is read
through it. So a single line in a long document is found at the cost of a dictionary look-up.
"""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Final

from bartizan.features.envelope import Envelope
from bartizan.features.legible import FUNCTION_WORDS, PLAIN_RATE, READABLE_RATE

MIN_HITS: Final = 2
MIN_STRETCH: Final = 5
"""Words in a stretch; fewer are no order, and coincidences are of this size."""
MAX_GAP: Final = 10
"""Words without a function word, after which another stretch begins."""
MAX_STRETCHES: Final = 8

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"
_LONG_WORDS: Final = "the and you for all this from your with are not must please that will have what"
_CAESAR_WORDS: Final = _LONG_WORDS.split()
_EDGES: Final = ".,:;!?\"'()"


def _shift(by: int) -> Callable[[str], str]:
    turned = _ALPHABET[by:] + _ALPHABET[:by]
    table = str.maketrans(_ALPHABET + _ALPHABET.upper(), turned + turned.upper())
    return lambda text: text.translate(table)


def _atbash() -> Callable[[str], str]:
    table = str.maketrans(_ALPHABET + _ALPHABET.upper(), _ALPHABET[::-1] + _ALPHABET[::-1].upper())
    return lambda text: text.translate(table)


def _rot47() -> Callable[[str], str]:
    table = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}
    return lambda text: text.translate(table)


def _reversed(text: str) -> str:
    return text[::-1]


def _reversed_words(text: str) -> str:
    return " ".join(word[::-1] for word in text.split())


_DECODERS: Final[dict[str, Callable[[str], str]]] = {
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": _reversed,
    "Atbash": _atbash(),
    "rot47": _rot47(),
    **{f"Caesar {by}": _shift(26 - by) for by in range(1, 26) if by != 13},
}
_ENCODERS: Final = {f"Caesar {by}": _shift(by) for by in range(1, 26)}
_SELF_INVERSE: Final = frozenset({"rot13", "reversed", "Atbash", "rot47"})


def _table() -> dict[str, tuple[str, ...]]:
    table: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for name, decode in _DECODERS.items():
        encode = decode if name in _SELF_INVERSE else _ENCODERS[name]
        for word in sorted(_words(name)):
            written = encode(word).lower()
            if written not in FUNCTION_WORDS:
                table[written] += (name,)
    return dict(table)


def _words(name: str) -> Collection[str]:
    """Return the words by which a cipher is known; short foreign ones meet plain words too often."""
    if name not in ("rot13", "reversed"):
        return _CAESAR_WORDS
    return {w for w in FUNCTION_WORDS if len(w) > 2 or w in _SHORT_ENGLISH}


_SHORT_WORDS: Final = "to of is in it me my by we be as at an do if or"
_SHORT_ENGLISH: Final = frozenset(_SHORT_WORDS.split())
_PLAIN_WORDS: Final = frozenset(w for w in FUNCTION_WORDS if len(w) > 2 or w in _SHORT_ENGLISH)
_TABLE: Final = _table()


def ciphers(text: str) -> Iterator[Envelope]:
    """Yield the stretches of ``text`` that only a cipher turns into language; linear in it."""
    words = [w.strip(_EDGES) for w in text.lower().split()] if '"' in text else text.lower().split()
    hits: defaultdict[str, list[int]] = defaultdict(list)
    if _TABLE.keys().isdisjoint(words):
        return
    for i, word in enumerate(words):
        for name in _TABLE.get(word, ()):
            hits[name].append(i)
    places: list[tuple[int, int]] = []
    found = 0
    for name, at in hits.items():
        if len(at) < MIN_HITS:
            continue
        for first, last in _stretches(name, at, words):
            places = places or _places(text)
            start, end = places[first][0], places[last][1]
            for label, said in _read(name, text[start:end]):
                yield Envelope(label, said, start, end)
            found += 1
            if found == MAX_STRETCHES:
                return


def _read(name: str, written: str) -> Iterator[tuple[str, str]]:
    yield name, _DECODERS[name](written)
    if name == "reversed":
        # The same words come of reversing each of them; which was meant, the reader decides.
        yield "reversed words", _reversed_words(written)


def _places(text: str) -> list[tuple[int, int]]:
    places, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        places.append((at, at + len(word)))
        at += len(word)
    return places


def _stretches(name: str, at: list[int], words: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last word of each stretch in which one cipher's words cluster."""
    begin = 0
    for i in range(1, len(at) + 1):
        ends = i == len(at) or at[i] - at[i - 1] > MAX_GAP or _plain(name, words, at[i - 1] + 1, at[i]) > 1
        if not ends:
            continue
        first, last = at[begin], at[i - 1]
        known = {words[j] for j in at[begin:i]}
        hits, begin = i - begin, i
        size = last - first + 1
        if len(known) < MIN_HITS or max(map(len, known)) < 3 or hits < READABLE_RATE * size:
            continue
        if _plain(name, words, first, last + 1) > PLAIN_RATE * size:
            continue
        first, last = _widened(name, words, first, last)
        if last - first + 1 >= MIN_STRETCH and hits >= READABLE_RATE / 2 * (last - first + 1):
            yield first, last


def _widened(name: str, words: list[str], first: int, last: int) -> tuple[int, int]:
    """Return the stretch up to the nearest plain function words, at most one gap's length away."""
    low = max(0, first - MAX_GAP)
    while first > low and not _is_plain(name, words[first - 1]):
        first -= 1
    high = min(len(words) - 1, last + MAX_GAP)
    while last < high and not _is_plain(name, words[last + 1]):
        last += 1
    return first, last


def _plain(name: str, words: list[str], start: int, end: int) -> int:
    return sum(_is_plain(name, words[i]) for i in range(start, end))


def _is_plain(name: str, word: str) -> bool:
    """Return whether a word is language as it stands; two letters may be so by chance."""
    return word in _PLAIN_WORDS and word not in _AMBIGUOUS[name]


_AMBIGUOUS: Final = {
    name: frozenset(
        written
        for word in FUNCTION_WORDS
        if (written := decode(word).lower()) in FUNCTION_WORDS or len(written) < 3
    )
    for name, decode in ((n, _DECODERS[n] if n in _SELF_INVERSE else _ENCODERS[n]) for n in _DECODERS)
}
