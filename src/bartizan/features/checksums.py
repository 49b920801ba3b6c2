"""Check digits: what tells a number that names somebody from any other number.

Own code rather than a library: the algorithms are a few lines each, the kept library of them
(``python-stdnum``) is under the LGPL and matches with backtracking expressions.

References:
    ISO/IEC 7812-1 annex B (Luhn), ISO 13616 (IBAN), ISO/IEC 7064 (MOD 97-10, MOD 11-2, MOD 11,10);
    Verhoeff (1969); the SWIFT IBAN registry, release 99, for lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

IBAN_LENGTHS: Final = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FO", "FI", "GL", "NL", "FK", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "XK", "LT", "LU", "MN"), 20),
    **dict.fromkeys(("HR", "LV", "LI", "CH"), 21),
    **dict.fromkeys(("BH", "BG", "CR", "GE", "DE", "IE", "ME", "RS", "GB", "VA"), 22),
    **dict.fromkeys(("TL", "GI", "IL", "AE", "IQ", "OM", "SO"), 23),
    **dict.fromkeys(("AD", "CZ", "MD", "PK", "RO", "SA", "SK", "ES", "SE", "TN", "VG"), 24),
    **dict.fromkeys(("PT", "ST", "LY"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MR", "MC", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "BY", "SV"), 28),
    **dict.fromkeys(("BR", "PS", "QA", "UA", "EG"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
"""Characters of an account number, by country."""

_VERHOEFF_MULTIPLY: Final = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_VERHOEFF_PERMUTE: Final = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def luhn(digits: str) -> bool:
    """Return whether the last digit is right by Luhn's formula.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(d)] for d in digits[-2::-2])
    return total % 10 == 0


def iban(account: str) -> bool:
    """Return whether an upper-case account number without spaces has its country's length and checks.

    >>> iban("DE89370400440532013000"), iban("DE89370400440532013001")
    (True, False)
    """
    if len(account) != IBAN_LENGTHS.get(account[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1


def verhoeff(digits: str) -> bool:
    """Return whether the last digit is right by Verhoeff's formula.

    >>> verhoeff("2363"), verhoeff("2364")
    (True, False)
    """
    check = 0
    for i, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_MULTIPLY[check][int(_VERHOEFF_PERMUTE[i % 8][int(digit)])])
    return check == 0


def weighted(digits: str, weights: Sequence[int], modulus: int) -> int:
    """Return the weighted sum of the first digits, by position, modulo ``modulus``.

    >>> weighted("44051401359", (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10)
    0
    """
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False)) % modulus


def mod_11_10(digits: str) -> bool:
    """Return whether the last digit is right by ISO/IEC 7064 MOD 11,10.

    >>> mod_11_10("36574261809"), mod_11_10("36574261890")
    (True, False)
    """
    product = 10
    for digit in digits[:-1]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(digits[-1])


def mod_11_2(digits: str) -> bool:
    """Return whether the last character, a digit or ``X``, is right by ISO/IEC 7064 MOD 11-2.

    >>> mod_11_2("11010519491231002X"), mod_11_2("110105194912310021")
    (True, False)
    """
    check = 0
    for digit in digits[:-1]:
        check = (check + int(digit)) * 2 % 11
    return (12 - check) % 11 == (10 if digits[-1] in "Xx" else int(digits[-1]))


def steps(digits: str) -> bool:
    """Return whether digits only count up, only count down or repeat: typed, not given out.

    >>> steps("123456789"), steps("1111"), steps("1357")
    (True, True, False)
    """
    apart = {(int(b) - int(a)) % 10 for a, b in pairwise(digits)}
    return len(apart) == 1 and apart <= {0, 1, 9}
