from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bartizan.gateway.enforce import MANY_SPANS, REMOVED, complete, edits, merged, redacted, spans
from bartizan.pipeline import MAX_FINDINGS
from bartizan.types import Effect, Evidence, Finding, Mode, Origin, Part, PartKind, PValue, Verdict

A, B = "/messages/0/content", "/messages/1/content"


def finding(path: str, *where: tuple[int, int], effect: Effect = Effect.REDACT) -> Finding:
    return Finding("text.secrets", 1.0, PValue(0.001, 999, "c"), path, None, Evidence("Seen.", where), effect)


def verdict(*findings: Finding, removed: tuple[str, ...] = ()) -> Verdict:
    return Verdict(Effect.REDACT, "false-alarm-rate", Mode.ENFORCE, None, 0.001, findings, removed=removed)


def text(path: str, content: str) -> Part:
    return Part(PartKind.TEXT, Origin.USER, path, content)


def test_only_what_was_found_is_replaced() -> None:
    made = edits(verdict(finding(A, (4, 7))), [text(A, "one two three"), text(B, "four")])
    assert made == {A: f"one {REMOVED} three"}


def test_findings_of_other_effects_and_other_messages_change_nothing() -> None:
    made = edits(verdict(finding(A, (0, 3), effect=Effect.ALLOW), finding("/gone", (0, 1))), [text(A, "one")])
    assert made == {}


def test_a_part_stopped_before_is_replaced_whole() -> None:
    assert edits(verdict(removed=(A, "/gone")), [text(A, "one")]) == {A: REMOVED}


def test_several_findings_in_one_part_are_joined() -> None:
    made = edits(verdict(finding(A, (4, 7)), finding(A, (0, 2), (6, 9))), [text(A, "0123456789")])
    assert made == {A: f"{REMOVED}23{REMOVED}9"}


def test_a_finding_without_places_speaks_of_the_whole_part() -> None:
    assert edits(verdict(finding(A), finding(A, (0, 1))), [text(A, "one two")]) == {A: REMOVED}


def test_a_list_of_places_that_may_be_cut_off_is_not_believed() -> None:
    many = tuple((2 * i, 2 * i + 1) for i in range(MANY_SPANS))
    assert spans([finding(A, *many)], A, "x" * 1000) == [(0, 1000)]
    assert len(spans([finding(A, *many[:-1])], A, "x" * 1000)) == MANY_SPANS - 1


def test_a_full_list_of_findings_may_not_be_complete() -> None:
    assert complete(verdict(*[finding(A, (0, 1))] * (MAX_FINDINGS - 1)))
    assert not complete(verdict(*[finding(A, (0, 1))] * MAX_FINDINGS))


PLACES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda p: (p[0], p[0] + p[1])), max_size=6
)


@given(PLACES, st.lists(st.integers(0, 40), max_size=6))
def test_a_text_redacted_in_pieces_is_the_text_redacted_at_once(
    places: list[tuple[int, int]], cuts: list[int]
) -> None:
    content = "".join(chr(0x41 + i) for i in range(37))
    where = [(a, b) for a, b in merged(places) if a < b]
    at = [0, *sorted(c for c in cuts if c < len(content)), len(content)]
    pieces = [redacted(content[a:b], where, a) for a, b in zip(at, at[1:], strict=False)]
    whole = redacted(content, where)
    assert "".join(pieces) == whole
    assert whole.count(REMOVED) == len(where)
    kept = [c for i, c in enumerate(content) if not any(a <= i < b for a, b in where)]
    assert whole.replace(REMOVED, "") == "".join(kept)


@given(PLACES)
def test_merged_places_are_apart_and_in_order(places: list[tuple[int, int]]) -> None:
    made = merged(places)
    assert all(a[1] < b[0] for a, b in zip(made, made[1:], strict=False))
    covered = {i for a, b in places for i in range(a, b)}
    assert {i for a, b in made for i in range(a, b)} == covered
