"""Places that a person reading the page does not see, or not as text, and a model reads.

Comments, hidden elements, alternative texts, titles, link definitions used as comments. What
stands there is part of the text anyhow; as a view it is judged without the markup around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import re2

from bartizan.features.envelope import Envelope

MIN_SENTENCE: Final = 5
"""Words below which a title or comment gives no order."""
MAX_CONTAINERS: Final = 256

_TAG: Final = re2.compile(r"<[^<>]+>")
_COMMENT: Final = re2.compile(r"(?s)<!--(.+?)(?:-->|$)")
_ATTRIBUTE: Final = re2.compile(
    r"""(?i)\b(alt|title|aria-label|aria-description|placeholder|summary|content|data-[a-z-]{1,20})\s{0,4}=\s{0,4}(?:"([^"<>]{12,})"|'([^'<>]{12,})')"""
)
_HIDDEN: Final = re2.compile(
    r"(?is)<([a-z][a-z0-9]{0,15})\b[^<>]*?(?:display\s?:\s?none|visibility\s?:\s?hidden|font-size\s?:\s?[01](?:px|pt|em|%)?\s?[;\"']|"
    r"opacity\s?:\s?0(?:\.0\d?)?\s?[;\"']|\bhidden\b|aria-hidden\s?=\s?.true|color\s?:\s?(?:white|#fff(?:fff)?|transparent)\s?[;\"']|"
    r"(?:left|top|text-indent)\s?:\s?-\d{3,})[^<>]*>(.+?)(?:</|$)"
)
_HIDDEN_TAG: Final = re2.compile(r"(?is)<(template|noscript)\b[^<>]*>(.+?)(?:</(?:template|noscript)|$)")
_IMAGE: Final = re2.compile(r"!\[([^\[\]]{12,})\]")
_TITLE: Final = re2.compile(r"""\]\([^()\s]+\s{1,4}(?:"([^"]{12,})"|'([^']{12,})')\)""")
_DEFINITION: Final = re2.compile(
    r"""(?m)^ {0,3}\[[^\[\]]+\]: ?\S+\s{1,4}(?:"([^"\n]{12,})"|'([^'\n]{12,})'|\(([^()\n]{12,})\))"""
)
_ATTRIBUTE_NAMES: Final = {"alt": "alt text", "title": "title attribute", "content": "meta content"}


def containers(text: str) -> Iterator[Envelope]:
    """Yield the sentences that stand in hidden places of HTML and Markdown; linear in ``text``."""
    found = 0
    for envelope in _all(text):
        if len(envelope.text.split()) < MIN_SENTENCE:
            continue
        yield envelope
        found += 1
        if found == MAX_CONTAINERS:
            return


def _all(text: str) -> Iterator[Envelope]:
    if "<" in text:
        yield from _matches("HTML comment", _COMMENT, text)
        if ">" in text:
            yield from _hidden(text)
            yield from _attributes(text)
    if "](" in text or "![" in text:
        yield from _matches("image description", _IMAGE, text)
        yield from _matches("link title", _TITLE, text)
    if "]:" in text:
        yield from _matches("Markdown comment", _DEFINITION, text)


def _hidden(text: str) -> Iterator[Envelope]:
    for pattern in (_HIDDEN, _HIDDEN_TAG):
        for m in pattern.finditer(text):
            yield Envelope("hidden element", _TAG.sub(" ", m.group(2)), m.start(), m.end())


def _attributes(text: str) -> Iterator[Envelope]:
    for tag in _TAG.finditer(text):
        if "=" not in tag.group():
            continue
        for m in _ATTRIBUTE.finditer(tag.group()):
            name = m.group(1).lower()
            yield Envelope(
                _ATTRIBUTE_NAMES.get(name, f"{name} attribute"),
                m.group(2) or m.group(3),
                tag.start() + m.start(),
                tag.start() + m.end(),
            )


def _matches(name: str, pattern: Any, text: str) -> Iterator[Envelope]:
    for m in pattern.finditer(text):
        said = next((g for g in m.groups() if g), "")
        yield Envelope(name, said, m.start(), m.end())
