"""Personal data with a form of its own: what it looks like, and what tells it from any number.

A datum counts by its check digit, by a form that nothing else has, or by a word before it that
says what it is. Names and postal addresses have neither; they need a model of the language.

Everything is monotone: no rule looks at what follows a match, and where a number may go on, only
as many digits as its kind has are read. Values are compared by their beginnings, because the
last one of a stream may still grow.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import re2

from bartizan.features import checksums as check
from bartizan.features import identity
from bartizan.features.escapes import visible
from bartizan.types import Interaction, Origin

CONTACT: Final = 0.5
NAMING: Final = 1.0
"""Weight of a way to reach somebody, and of a number that names somebody or opens an account."""
EXAMPLE: Final = 0.25
"""Weight of the numbers that documentation is full of: low, not nothing."""
MAX_VALUES: Final = 2_048
"""Values of one kind in one text, and numbers of the conversation, that are told apart."""
MIN_NUMBER: Final = 6

Datum = tuple[str, float, int, int]
"""Normal form, weight, and where it stands in the match."""
Check = Callable[[str], list[Datum]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One sort of personal data.

    Attributes:
        kind: What it is, for people; rules of one kind count a value once.
        pattern: RE2 syntax; its first group is looked at.
        check: Finds the data in what the group matched.
    """

    kind: str
    pattern: str
    check: Check


@dataclass(slots=True)
class Values:
    """Values by their beginnings.

    Attributes:
        ordered: The values, in order.
    """

    ordered: list[str] = field(default_factory=list)

    def add(self, value: str) -> None:
        """Remember a value, unless there are too many."""
        if len(self.ordered) < MAX_VALUES:
            insort(self.ordered, value)

    def begins(self, start: str) -> bool:
        """Return whether a remembered value begins with ``start``."""
        at = bisect_left(self.ordered, start)
        return at < len(self.ordered) and self.ordered[at].startswith(start)


def _one(value: str, weight: float, match: str) -> list[Datum]:
    return [(value, weight, 0, len(match))] if weight else []


def email(match: str) -> list[Datum]:
    """An address of a person, not of a role, at a domain that is not reserved for examples."""
    local, _, domain = match.lower().partition("@")
    if local in _ROLES or local.startswith(_NOBODY):
        return []
    labels = domain.split(".")
    # Any domain that this one begins with may have been all of it a moment ago.
    real = any(not _reserved(labels[:n]) for n in range(2, len(labels) + 1))
    return _one(f"{local}@{domain}", CONTACT if real else 0.0, match)


def _reserved(labels: list[str]) -> bool:
    return labels[-2] in _EXAMPLE_LABELS or (
        len(labels) == 2 and any(t.startswith(labels[-1]) for t in _TLDS)
    )


def phone(match: str) -> list[Datum]:
    """A number that begins with a country's code, or one after a word such as ``phone``."""
    number, digits = _national(match)
    fiction = digits[:3] == "555" or digits[3:6] == "555" or check.steps(digits)
    return _one(number, 0.0 if fiction or len(digits) < 7 else CONTACT, match)


def abroad(match: str) -> list[Datum]:
    """``+`` and digits: as long as the plan of its country wants it, or else no number."""
    found = identity.calling_code(_digits(match.replace("(0)", "")))
    if found is None or len(found[1]) < found[2]:
        return []
    return phone(match)


def _national(match: str) -> tuple[str, str]:
    """Return a number without country code and trunk prefix, as value and as digits."""
    digits = _digits(match.replace("(0)", ""))
    if match.startswith(("+", "00")):
        found = identity.calling_code(digits.removeprefix("00"))
        digits = found[1] if found is not None else digits
    elif len(digits) > 10 and digits.startswith("1"):
        digits = digits[1:]
    return digits.lstrip("0"), digits.lstrip("0")


def card(match: str) -> list[Datum]:
    """Payment cards in a run of digits, by issuer, length, grouping and Luhn's formula."""
    found: list[Datum] = []
    for start, end, digits in identity.cards(match):
        weight = EXAMPLE if digits in identity.TEST_CARDS or len(set(digits)) < 4 else NAMING
        found.append((digits, weight, start, end))
    return found


def iban(match: str) -> list[Datum]:
    """An account number whose country, length and check digits agree."""
    kept = [i for i, c in enumerate(match) if c.isalnum()]
    length = check.IBAN_LENGTHS.get(match[:2].upper(), len(kept) + 1)
    if len(kept) < length:
        return []
    account = "".join(match[i] for i in kept[:length]).upper()
    if not check.iban(account):
        return []
    weight = EXAMPLE if account in identity.EXAMPLE_IBANS else NAMING
    return [(account, weight, 0, kept[length - 1] + 1)]


def fixed(valid: Callable[[str], bool], length: int, weight: float = NAMING) -> Check:
    """Take the first ``length`` letters and digits, if ``valid`` says so."""

    def checked(match: str) -> list[Datum]:
        kept = [i for i, c in enumerate(match) if c.isalnum()]
        value = "".join(match[i] for i in kept[:length]).upper()
        if len(value) < length or not valid(value):
            return []
        told = (
            EXAMPLE if value in identity.EXAMPLE_IDS or (value.isdigit() and check.steps(value)) else weight
        )
        return [(value, told, 0, kept[length - 1] + 1)]

    return checked


def labelled(weight: float, least: int) -> Check:
    """Take what stands after a word that says what it is, if it has ``least`` digits."""

    def checked(match: str) -> list[Datum]:
        value = "".join(c for c in match if c.isalnum()).upper()
        return _one(value, weight if sum(map(str.isdigit, value)) >= least else 0.0, match)

    return checked


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LEFT: Final = r"(?:^|[^0-9A-Za-z.\-_/+@])"
_ROLES: Final = _set_of(
    "info support help contact sales admin hello noreply no-reply donotreply do-not-reply billing "
    "office service webmaster postmaster abuse security press media jobs careers hr team feedback "
    "enquiries inquiries marketing privacy legal orders newsletter notifications git root user "
    "username name email you your me someone somebody nobody test foo bar example mail customer "
    "customerservice kontakt news ops"
)
_NOBODY: Final = (
    "your",
    "john.doe",
    "johndoe",
    "jane.doe",
    "janedoe",
    "first.last",
    "firstname",
    "user1",
    "support-",
)
_EXAMPLE_LABELS: Final = frozenset(("example", "yourdomain", "yourcompany", "domain", "mycompany"))
_TLDS: Final = ("test", "example", "local", "localhost")

_PHONE_WORD: Final = (
    r"(?i:phone|telephone|telefon|tel|mobile|cell|handy|mobil|fax|whatsapp|t[eé]l[eé]phone|tel[eé]fono|celular)"
    r"(?i: ?(?:no|nr|number|nummer))?"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "e-mail address",
        r"([A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,6}[A-Za-z]{2,24})",
        email,
    ),
    Rule("phone number", _LEFT + r"(\+[1-9](?:(?: ?\(0\) ?|[ \-./()]{0,2})[0-9]){6,14})", abroad),
    Rule("phone number", _LEFT + r"(00[1-9][0-9]{0,2}[ \-/](?:[ \-./()]{0,2}[0-9]){6,13})", phone),
    Rule(
        "phone number",
        _LEFT + r"((?:1[ \-.])?(?:\([2-9][0-9]{2}\)[ \-]?|[2-9][0-9]{2}[\-.])[2-9][0-9]{2}[\-.][0-9]{4})",
        phone,
    ),
    Rule(
        "phone number",
        rf"\b{_PHONE_WORD}\.?[^\n0-9A-Za-z+(]{{0,8}}((?:\+|\()?[0-9](?:[ \-./()]{{0,2}}[0-9]){{6,14}})",
        phone,
    ),
    Rule("payment card", r"(?:^|[^0-9A-Za-z.\-_])([0-9](?:[ \-]?[0-9]){11,})", card),
    Rule("bank account", r"(?:^|[^0-9A-Za-z])([A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]{1,4}){3,9})", iban),
    Rule(
        "bank account",
        r"\b(?i:account|acct|konto|kontonummer|compte|cuenta)\.? ?(?i:no|nr|number|num|nummer|#)\.?"
        r"[^\n0-9A-Za-z]{0,6}(?i:is )?([0-9](?:[ \-]?[0-9]){5,16})",
        labelled(CONTACT, 7),
    ),
    Rule(
        "date of birth",
        r"\b(?i:dob|d\.o\.b\.|date of birth|birth ?date|geburtsdatum"
        r"|date de naissance|fecha de nacimiento)\b"
        r"[^\n0-9A-Za-z]{0,8}(?i:is )?"
        r"([0-9]{1,4}[\-./ ](?:[0-9]{1,2}|[A-Za-z]{3,9})[\-./ ][0-9]{2,4}"
        r"|[A-Z][a-z]{2,8} [0-9]{1,2},? [0-9]{4})",
        labelled(CONTACT, 4),
    ),
    Rule(
        "passport number",
        r"\b(?i:passport|reisepass|passeport|pasaporte)(?i: ?(?:no|nr|number|num|nummer))?\.?"
        r"[^\n0-9A-Za-z]{0,4}(?i:is )?([A-Z0-9]{6,9})",
        labelled(NAMING, 5),
    ),
    *(
        Rule("identity number", pattern, fixed(valid, length))
        for pattern, valid, length in identity.numbers(_LEFT)
    ),
)

_NUMBER: Final = re2.compile(r"\+?[0-9A-Za-z]{0,4}[0-9](?:[ \-./()]{0,2}[0-9A-Za-z]){5,34}")
_EMAIL: Final = re2.compile(RULES[0].pattern)


@dataclass(frozen=True, slots=True)
class Given:
    """Data that the conversation already holds, by beginnings.

    Attributes:
        emails: Addresses.
        numbers: Runs of letters and digits with a digit in them, separators left out.
    """

    emails: Values
    numbers: Values

    def holds(self, kind: str, value: str) -> bool:
        """Return whether a value, or one that it may still grow to, was said before."""
        return (self.emails if "@" in value else self.numbers).begins(value)


def given_by(origins: frozenset[Origin]) -> Callable[[Interaction], Given]:
    """Return what reads the data that parts of these origins hold."""

    def given(interaction: Interaction) -> Given:
        known = Given(Values(), Values())
        for part in reversed(interaction.context):
            if part.origin in origins:
                for value in _said(visible(part).text):
                    (known.emails if "@" in value else known.numbers).add(value)
        return known

    return given


def _said(text: str) -> Iterator[str]:
    if "@" in text:
        yield from (m.group(1).lower() for m in _EMAIL.finditer(text))
    for match in _NUMBER.finditer(text):
        run = match.group()
        for start in (0, *(i + 1 for i, c in enumerate(run) if not c.isalnum() and c != "+")):
            value = "".join(c for c in run[start:] if c.isalnum()).upper()
            if len(value) >= MIN_NUMBER:
                yield value
                yield value.lstrip("0")
        yield _national(run)[0]
