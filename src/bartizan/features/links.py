"""Addresses in text: what they point to, who fetches them, and what they carry.

References:
    RFC 3986 (URI syntax); CommonMark 0.31 sections 6.3 to 6.5 (links, images, autolinks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import re2

from bartizan.features.escapes import plain, visible
from bartizan.features.traced import Traced
from bartizan.types import Interaction, Origin, Part

MAX_LINKS: Final = 2_048
"""Links of one part that are looked at, in order."""
MAX_TAILS: Final = 64
"""Known addresses of one host that a new one is compared with."""
LOOK_BACK: Final = 512
"""How far before a Markdown destination its opening bracket may stand."""

_LINK: Final = re2.compile(
    r"(\]\(\s{0,8}<?|\]:\s{0,8}<?|(?i:\b(?:src|srcset|poster|background|data|href|action)\s{0,4}=\s{0,4}[\"']?)"
    r"|(?i:url\(\s{0,4}[\"']?|@import\s{1,4}[\"']|\bcontent\s{0,4}=\s{0,4}[\"']?[0-9.\s]{0,8};\s{0,4}(?:url\s{0,4}=\s{0,4})?))?"
    r"((?i:https?:)[/\\]{2,3}|//)"
    r"((?:[^\s<>\"'`()\[\]{}|\\^]|\([^\s<>\"'`()]{0,512}\))+)"
)
_AUTHORITY_END: Final = re2.compile(r"[/?#]")
_TRAILING: Final = ".,;:!?*_"
_FETCHED: Final = ("src", "srcset", "poster", "background", "data", "url", "@import")
_LOADS: Final = re2.compile(r"(?i)<(?:[a-z]{1,10}:)?(?:image|use|feimage|link|base|mpath|textpath)\s[^<>]*$")
"""An open element whose ``href`` is loaded without a click."""
_SECOND_LEVEL: Final = frozenset(["co", "com", "net", "org", "gov", "edu", "ac", "or", "ne", "go"])


@dataclass(frozen=True, slots=True)
class Link:
    """One address in a text.

    Attributes:
        host: Lower case, without port and user.
        site: The registrable part of the host, by the usual two or three labels.
        labels: What stands before the site in the host, and the user part.
        tail: Path, query and fragment, from the first ``/``, ``?`` or ``#``.
        fetched: True where a client loads it without being asked to (images, media).
        complete: False at the very end of the text, where more may follow.
        start: Where the address starts in the text it was found in.
        end: Where it ends.
    """

    host: str
    site: str
    labels: str
    tail: str
    fetched: bool
    complete: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Known:
    """Addresses that the conversation already holds.

    Attributes:
        trusted: Sites that the operator or the user named.
        tails: Every tail seen, by host, wherever it came from.
    """

    trusted: frozenset[str]
    tails: dict[str, frozenset[str]]


def links(read: Traced) -> list[Link]:
    """Return the addresses in a text, in order; linear in it."""
    text = read.text
    if "//" not in text and ":\\" not in text and ":/\\" not in text:
        return []
    found: list[Link] = []
    images = "![" in text
    for match in _LINK.finditer(text):
        before = match.group(1) or ""
        if match.group(2) == "//" and not before:
            continue
        fetched = _is_fetched(text, before, match.start(2), images=images)
        complete = match.end() < len(text)
        found.append(_link(match.group(3), match.start(2), match.end(), fetched=fetched, complete=complete))
        if len(found) == MAX_LINKS:
            break
    return found


def links_of(part: Part) -> list[Link]:
    """Return the addresses in a part, invisible characters left out."""
    return links(visible(part))


def known(interaction: Interaction) -> Known:
    """Return the addresses in what came before this interaction."""
    trusted: set[str] = set()
    tails: dict[str, set[str]] = {}
    for part in interaction.context:
        if "//" not in part.text:
            continue
        for link in links(plain(part)):
            seen = tails.setdefault(link.host, set())
            if len(seen) < MAX_TAILS:
                seen.add(link.tail)
            if part.origin <= Origin.USER:
                trusted.add(link.site)
    return Known(frozenset(trusted), {host: frozenset(of) for host, of in tails.items()})


def _link(rest: str, start: int, end: int, *, fetched: bool, complete: bool) -> Link:
    cut = _AUTHORITY_END.search(rest)
    authority = rest if cut is None else rest[: cut.start()]
    tail = "" if cut is None else rest[cut.start() :].rstrip(_TRAILING)
    user, _, place = authority.rpartition("@")
    host = place.split(":")[0].rstrip(_TRAILING).lower()
    site = site_of(host)
    labels = f"{user}.{host.removesuffix(site)}".strip(".")
    return Link(host, site, labels, tail, fetched, complete, start, end)


def site_of(host: str) -> str:
    """Return the registrable part of a host: two labels, or three under ``co.uk`` and the like.

    >>> site_of("a.b.example.com"), site_of("shop.example.co.uk")
    ('example.com', 'example.co.uk')
    """
    labels = host.split(".")
    if len(labels) <= 2 or host.replace(".", "").isdigit():
        return host
    deep = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if deep else labels[-2:])


def _is_fetched(text: str, before: str, start: int, *, images: bool) -> bool:
    if before.startswith("]("):
        low = max(0, start - LOOK_BACK)
        image = text.rfind("![", low, start)
        return image >= 0 and image > text.rfind("](", low, start - len(before))
    if before.startswith("]:"):
        return images  # a definition that an image may use
    name = before.lower()
    if name.startswith("href"):
        return _LOADS.search(text[max(0, start - LOOK_BACK) : start]) is not None
    return name.startswith((*_FETCHED, "content"))
