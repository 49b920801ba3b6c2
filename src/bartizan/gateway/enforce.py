"""Carries a verdict out on text: which strings change, and into what."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bartizan.gateway.arguments import Arguments
from bartizan.pipeline import MAX_FINDINGS
from bartizan.types import Effect, Finding, Part, PartKind, Verdict

REMOVED = "[removed by policy]"

MANY_SPANS = 64
"""Detectors list no fewer places than this before they stop listing."""


def edits(verdict: Verdict, parts: Iterable[Part]) -> dict[str, str]:
    """Return the new text of every part that a redacting verdict changes, by JSON Pointer."""
    shown = [p for p in parts if p.rows is None]
    texts, kinds = {p.path: p.text for p in shown}, {p.path: p.kind for p in shown}
    changed = {path: REMOVED for path in verdict.removed if path in texts}
    redacting = [f for f in verdict.findings if f.effect is Effect.REDACT and f.part in texts]
    for path in dict.fromkeys(f.part for f in redacting):
        where, quoted = _apart(kinds[path], texts[path], spans(redacting, path, texts[path]))
        changed[path] = redacted(texts[path], where, quoted=quoted)
    return changed


def complete(verdict: Verdict) -> bool:
    """Whether a verdict lists everything that must be redacted.

    Findings are limited in number, strangest first. When the list is full there may be more
    than it names, and redacting what it names would let the rest through.
    """
    return len(verdict.findings) < MAX_FINDINGS


def stops(verdict: Verdict) -> bool:
    """Whether nothing of what was judged may pass."""
    if verdict.enforced is Effect.REDACT:
        return not complete(verdict)
    return verdict.enforced >= Effect.HOLD


def spans(findings: Iterable[Finding], path: str, text: str) -> list[tuple[int, int]]:
    """Return the merged spans of findings in one part's text, in order.

    A finding without spans, or with so many that the list may be cut off, speaks of the whole.
    """
    raw: list[tuple[int, int]] = []
    for finding in findings:
        if finding.part == path:
            found = finding.evidence.spans
            if not found or len(found) >= MANY_SPANS:
                return [(0, len(text))]
            raw.extend(found)
    return merged(raw)


def _apart(kind: PartKind, text: str, where: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], set[int]]:
    """Return where notices may stand: in the arguments of a tool call, so that they stay JSON."""
    if kind is not PartKind.TOOL_CALL:
        return where, set()
    arguments = Arguments()
    arguments.add(text)
    return arguments.apart(where)


def merged(where: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that touch joined.

    >>> merged([(4, 6), (0, 2), (1, 4)])
    [(0, 6)]
    """
    out: list[tuple[int, int]] = []
    for start, end in sorted(where):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def redacted(
    text: str, where: list[tuple[int, int]], offset: int = 0, *, quoted: Collection[int] = ()
) -> str:
    """Return a text with spans replaced by a notice.

    Args:
        text: The text, or a stretch of it.
        where: Merged spans in the whole text.
        offset: Where ``text`` begins in the whole; the notice stands where a span begins.
        quoted: Where spans begin whose notice needs quotes.

    >>> redacted("key: abcdef.", [(5, 11)])
    'key: [removed by policy].'
    >>> redacted("def.", [(5, 11)], offset=8)
    '.'
    """
    out: list[str] = []
    at = 0
    for start, end in where:
        low, high = max(start - offset, 0), min(end - offset, len(text))
        if high <= at or low >= len(text):
            continue
        out.append(text[at : max(low, at)])
        if start >= offset:
            out.append(f'"{REMOVED}"' if start in quoted else REMOVED)
        at = high
    out.append(text[at:])
    return "".join(out)
