"""Carries a verdict out on text: which strings change, and into what."""

from __future__ import annotations

from collections.abc import Iterable

from bartizan.types import Effect, Finding, Part, Verdict

REMOVED = "[removed by policy]"


def edits(verdict: Verdict, parts: Iterable[Part]) -> dict[str, str]:
    """Return the new text of every part that a redacting verdict changes, by JSON Pointer."""
    texts = {p.path: p.text for p in parts if p.rows is None}
    changed = {path: REMOVED for path in verdict.removed if path in texts}
    redacting = [f for f in verdict.findings if f.effect is Effect.REDACT and f.part in texts]
    for path in dict.fromkeys(f.part for f in redacting):
        changed[path] = redacted(texts[path], spans(redacting, path))
    return changed


def spans(findings: Iterable[Finding], path: str) -> list[tuple[int, int]]:
    """Return the merged spans of findings in one part, in order.

    A finding without spans speaks of the whole part: ``(0, -1)`` stands for that.
    """
    raw: list[tuple[int, int]] = []
    for finding in findings:
        if finding.part == path:
            raw.extend(finding.evidence.spans or ((0, -1),))
    if (0, -1) in raw:
        return [(0, -1)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(raw):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def redacted(text: str, where: list[tuple[int, int]], offset: int = 0) -> str:
    """Return a text with spans replaced by a notice.

    Args:
        text: The text, or a stretch of it.
        where: Merged spans in the whole text.
        offset: Where ``text`` begins in the whole; the notice stands where a span begins.

    >>> redacted("key: abcdef.", [(5, 11)])
    'key: [removed by policy].'
    >>> redacted("def.", [(5, 11)], offset=8)
    '.'
    """
    if where == [(0, -1)]:
        return REMOVED if offset == 0 else ""
    out: list[str] = []
    at = 0
    for start, end in where:
        low, high = max(start - offset, 0), min(end - offset, len(text))
        if high <= at or low >= len(text):
            continue
        out.append(text[at : max(low, at)])
        if start >= offset:
            out.append(REMOVED)
        at = high
    out.append(text[at:])
    return "".join(out)
