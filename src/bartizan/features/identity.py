"""Numbers that countries and issuers give out: their forms, lengths and examples.

References:
    ITU-T E.164 (calling codes, operational bulletin 1114); ISO/IEC 7812 (issuers of cards); the
    published specifications of each national number named below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from bartizan.features import checksums as check


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ONE: Final = frozenset("17")
_TWO: Final = _set_of(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 "
    "66 81 82 84 86 90 91 92 93 94 95 98"
)
_THREE: Final = _set_of(
    "211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 "
    "239 240 241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 "
    "265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 "
    "374 375 376 377 378 379 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 "
    "507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 "
    "682 683 685 686 687 688 689 690 691 692 850 852 853 855 856 880 886 960 961 962 963 964 965 966 "
    "967 968 970 971 972 973 974 975 976 977 992 993 994 995 996 998"
)
_LONGER: Final = {
    "1": 10,
    "7": 10,
    "44": 9,
    "49": 8,
    "33": 9,
    "34": 9,
    "39": 9,
    "86": 10,
    "91": 10,
    "55": 10,
    "81": 9,
}
MIN_NATIONAL: Final = 7
"""Digits of a national number, where its country's plan is not known better."""

TEST_CARDS: Final = _set_of(
    "4111111111111111 4242424242424242 4000056655665556 4012888888881881 5555555555554444 "
    "5105105105105100 2223003122003222 5200828282828210 378282246310005 371449635398431 "
    "378734493671000 6011111111111117 6011000990139424 3530111333300000 3566002020360505 "
    "4000000000000002 4000000000003220 4532015112830366 4539578763621486 4916338506082832"
)
EXAMPLE_IBANS: Final = _set_of(
    "GB82WEST12345698765432 DE89370400440532013000 GB29NWBK60161331926819 FR1420041010050500013M02606 "
    "NL91ABNA0417164300 ES9121000418450200051332 CH9300762011623852957 GB33BUKB20201555555555 "
    "BE68539007547034 AT611904300234573201 IT60X0542811101000000123456"
)
EXAMPLE_IDS: Final = _set_of(
    "123456789 078051120 219099999 111223333 AB123456C 12345678Z 9434765919 4444444444 11144477735 "
    "12345678909 RSSMRA85T10A562S 11010519491231002X"
)

_BOUNDS: Final = (frozenset[int](), frozenset((4, 8, 12)), frozenset((4, 10)))
"""Where the digits of a card are set apart."""


def calling_code(digits: str) -> tuple[str, str, int] | None:
    """Return the country's code, the rest, and the least digits that the rest has there.

    >>> calling_code("4930901820"), calling_code("2101234567")
    (('49', '30901820', 8), None)
    """
    for length, codes in ((1, _ONE), (2, _TWO), (3, _THREE)):
        if digits[:length] in codes:
            return digits[:length], digits[length:], _LONGER.get(digits[:length], MIN_NATIONAL)
    return None


def cards(run: str) -> Iterator[tuple[int, int, str]]:
    """Yield where cards stand in a run of digits with single separators, and their digits.

    >>> list(cards("12 4111-1111-1111-1111"))
    [(3, 22, '4111111111111111')]
    """
    starts = [0, *(i + 1 for i, c in enumerate(run) if not c.isdigit())]
    done = 0
    for start in starts:
        if start < done or run[start] not in "23456":
            continue
        piece = run[start : start + 40]
        kept = [i for i, c in enumerate(piece) if c.isdigit()]
        digits = "".join(piece[i] for i in kept)
        length = _card_length(digits)
        if not length or len(digits) < length or not check.luhn(digits[:length]):
            continue
        apart = frozenset(n + 1 for n, (a, b) in enumerate(pairwise(kept[:length])) if b - a > 1)
        if apart in _BOUNDS:
            done = start + kept[length - 1] + 1
            yield start, done, digits[:length]


def _card_length(digits: str) -> int:
    if digits[:2] in ("34", "37"):
        return 15
    two, three, four = digits[:2], digits[:3], digits[:4]
    sixteen = (
        digits[:1] == "4"
        or "51" <= two <= "55"
        or "2221" <= four <= "2720"
        or four == "6011"
        or "644" <= three <= "659"
        or "3528" <= four <= "3589"
        or two == "62"
    )
    return 16 if sixteen else 0


def numbers(left: str) -> Iterator[tuple[str, Callable[[str], bool], int]]:
    """Yield pattern, check and length of each national number; ``left`` is what stands before one."""
    date = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    yield left + r"([0-9]{3}-[0-9]{2}-[0-9]{4})", _us, 9
    yield left + r"([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])", _uk, 9
    yield left + rf"([1-9][0-9]{{5}}(?:19|20)[0-9]{{2}}{date}[0-9]{{3}}[0-9Xx])", check.mod_11_2, 18
    yield left + r"([A-Z]{6}[0-9]{2}[A-EHLMPR-T][0-9]{2}[A-Z][0-9]{3}[A-Z])", _italy, 16
    yield (
        left + r"([12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})",
        _france,
        15,
    )
    yield left + r"([0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2})", _brazil, 11
    yield left + r"([0-9]{8}-[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z])", _spain, 9
    for century, length in (("[\\-+]", 10), ("A", 11)):
        finnish = (
            rf"((?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{{2}}{century}[0-9]{{3}}[0-9A-FHJ-NPR-Y])"
        )
        yield left + finnish, _finland, length
    yield left + rf"([0-9]{{2}}{date}-[1-8][0-9]{{6}})", _korea, 13
    for words, length, valid in _LABELLED:
        yield (
            rf"\b(?i:{words})(?i: ?(?:no|nr|number|num|nummer|id))?\b[^\n0-9A-Za-z]{{0,6}}(?i:is )?"
            rf"([0-9](?:[ \-./]?[0-9]){{{length - 1},}})",
            valid,
            length,
        )


def _us(n: str) -> bool:
    return n[:3] not in ("000", "666") and n[0] != "9" and n[3:5] != "00" and n[5:] != "0000"


def _uk(n: str) -> bool:
    return n[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


_ITALIAN: Final = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)


def _italy(n: str) -> bool:
    place = [int(c) if c.isdigit() else ord(c) - 65 for c in n[:15]]
    total = sum(_ITALIAN[p] for p in place[::2]) + sum(place[1::2])
    return total % 26 == ord(n[15]) - 65


def _france(n: str) -> bool:
    number = n[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(n[13:])


def _brazil(n: str) -> bool:
    if len(set(n)) == 1:
        return False
    first = (check.weighted(n[:9], range(10, 1, -1), 11) * -1) % 11 % 10
    second = (check.weighted(n[:10], range(11, 1, -1), 11) * -1) % 11 % 10
    return n[9:] == f"{first}{second}"


def _spain(n: str) -> bool:
    number = int(n[:8].replace("X", "0").replace("Y", "1").replace("Z", "2"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == n[8]


def _finland(n: str) -> bool:
    digits = n[:6] + n[-4:-1]
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == n[-1]


def _korea(n: str) -> bool:
    # Numbers since October 2020 have no check digit; the dates and the hyphen have to do.
    return len(set(n)) > 3


def _nhs(n: str) -> bool:
    return (11 - check.weighted(n, range(10, 1, -1), 11)) % 11 == int(n[9])


def _netherlands(n: str) -> bool:
    return (check.weighted(n, range(9, 1, -1), 11) - int(n[8])) % 11 == 0


def _germany(n: str) -> bool:
    return n[0] != "0" and len(set(n[:10])) in (8, 9) and check.mod_11_10(n)


def _poland(n: str) -> bool:
    return check.weighted(n, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10) == 0


def _sweden(n: str) -> bool:
    return check.luhn(n)


def _india(n: str) -> bool:
    return n[0] not in "01" and check.verhoeff(n)


def _canada(n: str) -> bool:
    return n[0] not in "08" and check.luhn(n)


def _australia(n: str) -> bool:
    return check.weighted(n, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11) == 0


_LABELLED: Final[tuple[tuple[str, int, Callable[[str], bool]], ...]] = (
    ("ssn|social security", 9, _us),
    ("nhs", 10, _nhs),
    ("bsn|burgerservicenummer", 9, _netherlands),
    ("steuer-?id|idnr|steueridentifikationsnummer|tax id", 11, _germany),
    ("pesel", 11, _poland),
    ("personnummer|personal identity", 10, _sweden),
    ("aadhaar|aadhar|uidai", 12, _india),
    ("sin|social insurance", 9, _canada),
    ("tfn|tax file", 9, _australia),
    ("cpf", 11, _brazil),
)
