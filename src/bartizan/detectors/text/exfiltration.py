"""Links and images that carry the conversation to a host that nobody named."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from bartizan.features.escapes import visible
from bartizan.features.links import Known, Link, known, links_of
from bartizan.features.payload import decoded, information, numeric, shared, spoken, words
from bartizan.ports import Features
from bartizan.types import DetectorSpec, Evidence, Origin, Part, PartKind, Scores, Step

SPEC: Final = DetectorSpec(
    name="text.exfiltration",
    version="2",
    steps=frozenset({Step.RESPONSE}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_CALL}),
    origins=frozenset({Origin.MODEL}),
    unit=0.5,
    contextual=True,
    taxonomy=("OWASP LLM02:2026", "OWASP LLM10:2026", "AML.T0077", "AML.T0086"),
)
PUBLIC_SITES: Final = (
    "shields.io",
    "badge.fury.io",
    "placeholder.com",
    "placehold.co",
    "dummyimage.com",
    "picsum.photos",
    "unsplash.com",
    "wikimedia.org",
    "wikipedia.org",
    "imgur.com",
    "github.com",
    "githubusercontent.com",
    "gitlab.com",
    "google.com",
    "youtube.com",
    "stackoverflow.com",
    "python.org",
    "readthedocs.io",
    "mozilla.org",
    "npmjs.com",
    "pypi.org",
    "arxiv.org",
)
"""Sites whose requests only their own operator can read: nothing reaches an attacker through them."""
FETCHED: Final = 1.0
CALLED: Final = 0.6
CLICKED: Final = 0.35
"""How surely an address is requested: loaded by the client, by a tool, or only if somebody clicks."""
CHARACTERS: Final = 40.0
"""Characters of data that make one unit."""
FREE_IMAGES: Final = 3
REPEAT_CHARACTERS: Final = 4.0
"""Many images from one unnamed site may spell a message, one request a letter."""
MAX_UNITS: Final = 3.0
MAX_OVERLAP: Final = 6.0
CERTAIN: Final = 1.0
QUERY_WORD: Final = 0.34
PATH_WORD: Final = 0.1
"""Weight of one word of the conversation in an address: encoded or a long number; query; path."""
MAX_SPANS: Final = 64

_CLEAN: Final = Scores((0.0,))


class Exfiltration:
    """Scores addresses by what they carry to sites that neither operator nor user named.

    Args:
        public_sites: Registrable domains that can't be read by a third party.

    An address that stands in the conversation word for word carries nothing new and scores 0;
    of one that starts like a known one only the rest counts.

    Guarantees:
        A text's score is at least that of each of its beginnings.
    """

    spec = SPEC

    def __init__(self, public_sites: tuple[str, ...] = PUBLIC_SITES) -> None:
        self._public = frozenset(public_sites)

    def score(self, part: Part, features: Features) -> Scores:
        """Return the units of data carried to the site that gets most."""
        if "//" not in part.text and "\\" not in part.text and part.text.isascii():
            return _CLEAN
        sites = self._sites(part, features)
        return Scores((max(total for total, _ in sites),)) if sites else _CLEAN

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Point at the addresses that carry most."""
        sites = self._sites(part, features)
        if not sites:
            return Evidence("No address that carries data.")
        _, found = max(sites, key=lambda site: site[0])
        read = features.of_part(visible, part)
        spans = tuple(read.source_span(link.start, link.end) for link in found[:MAX_SPANS])
        how = "loaded without a click" if any(link.fetched for link in found) else "followed or called"
        return Evidence(f"{len(found)} addresses, {how}, carry data to a site that nobody named.", spans)

    def _sites(self, part: Part, features: Features) -> list[tuple[float, list[Link]]]:
        seen = features.of_interaction(known)
        by_site: dict[str, list[Link]] = defaultdict(list)
        for link in features.of_part(links_of, part):
            if link.site not in self._public and link.site not in seen.trusted and "." in link.host:
                by_site[link.site].append(link)
        called = part.kind is PartKind.TOOL_CALL
        totals = [(_units(found, seen, features, called=called), found) for found in by_site.values()]
        return [(total, found) for total, found in totals if total > 0]


def _units(found: list[Link], seen: Known, features: Features, *, called: bool) -> float:
    carried = overlap = 0.0
    told: set[str] = set()
    for link in found:
        labels, tail = _fresh(link, seen)
        if not labels and not tail:
            continue
        surely = FETCHED if link.fetched else CALLED if called else CLICKED
        carried += surely * information(f"{labels}/{tail}")
        for weight, names in _said(labels, tail):
            fresh = shared(names, features.of_interaction(spoken)) - told
            told |= fresh
            overlap += surely * sum(CERTAIN if numeric(word) else weight for word in fresh)
    repeats = max(0, sum(link.fetched for link in found) - FREE_IMAGES) * REPEAT_CHARACTERS
    return min(MAX_UNITS, (carried + repeats) / CHARACTERS) + min(MAX_OVERLAP, overlap)


def _fresh(link: Link, seen: Known) -> tuple[str, str]:
    """Return the labels and the tail as far as the conversation does not hold them already."""
    if not link.complete and not link.tail:
        return "", ""  # more of the host may follow
    tails = seen.tails.get(link.host)
    if tails is None:
        return link.labels.removeprefix("www"), link.tail
    return "", link.tail[max(_common(link.tail, other) for other in tails) :]


def _common(left: str, right: str) -> int:
    """Return the length of the common beginning, by halving."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _said(labels: str, tail: str) -> list[tuple[float, frozenset[str]]]:
    path, _, query = tail.partition("?")
    return [
        (CERTAIN, words(decoded(f"{labels.replace('.', '')} {tail}"))),
        (QUERY_WORD, words(f"{query} {labels}")),
        (PATH_WORD, words(path)),
    ]
