from __future__ import annotations

import pytest

from bartizan.console.filters import read_filters
from bartizan.console.present import calibration_words, cell_card
from bartizan.console.words import clock, duration, enforced, one_in, rate, span, stamp
from bartizan.gateway.status import CellStatus
from bartizan.types import Effect


def cell(**changes) -> CellStatus:
    values = {
        "cell": "request.user",
        "n": 12_000,
        "calibration": "ab",
        "source": "operator",
        "promised": 1e-3,
        "certified": 1e-3,
        "flagged": 0,
        "total": 0,
        "realised": 0.0,
        "low": 0.0,
        "high": 1.0,
    }
    return CellStatus(**values | changes)


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (1e-3, "1 in 1,000"),
        (0.5, "1 in 2"),
        (0.099, "1 in 10"),
        (0.0, "never"),
        (1.0, "every one"),
        (None, "not ranked"),
    ],
)
def test_one_in(p, words):
    assert one_in(p) == words


def test_units():
    assert [duration(us) for us in (999, 1000, 9990, 12_000, 2e6)] == [
        "999 µs",
        "1.00 ms",
        "9.99 ms",
        "12.0 ms",
        "2.00 s",
    ]
    assert [span(s) for s in (59, 3661, 86_400 * 3)] == ["59 s", "1 h 1 min", "3 d"]
    assert [rate(r) for r in (0.0, 1.0, 1e-7)] == ["0%", "100%", "0.00001%"]


@pytest.mark.parametrize("seconds", [-1e300, 1e300, 0.0])
def test_a_broken_clock_breaks_no_page(seconds):
    assert clock(seconds)
    assert stamp(seconds)


def test_what_was_really_done():
    assert enforced(Effect.BLOCK, Effect.ALLOW) == "not carried out"
    assert enforced(Effect.BLOCK, Effect.BLOCK) == "carried out"
    assert enforced(Effect.BLOCK, Effect.REDACT) == "redact carried out"
    assert enforced(Effect.ALLOW, Effect.ALLOW) == ""


@pytest.mark.parametrize(
    ("changes", "words", "tone"),
    [
        ({}, "certified to 1 in 1,000 by 12,000 benign messages", "good"),
        (
            {"n": 900, "certified": 5.1e-3},
            "certified to 1 in 196 by 900 benign messages; 1 in 1,000 needs 4,603",
            "warn",
        ),
        ({"source": "generic"}, "generic table: no guarantee on your traffic yet", "warn"),
        ({"source": "none"}, "not calibrated: nothing here can be flagged by its p-value", "bad"),
    ],
)
def test_calibration_in_words(changes, words, tone):
    assert calibration_words(cell(**changes), "messages") == (words, tone)


@pytest.mark.parametrize(
    ("changes", "words", "tone"),
    [
        ({"total": 0}, "nothing to compare yet", "muted"),
        (
            {"total": 9000, "flagged": 90, "realised": 0.01, "low": 0.008, "high": 0.0123},
            "more than in force",
            "bad",
        ),
        ({"total": 90_000, "flagged": 9, "realised": 1e-4, "low": 5e-5, "high": 2e-4}, "kept", "good"),
        ({"total": 9000, "flagged": 8, "realised": 9e-4, "low": 4e-4, "high": 1.8e-3}, "in keeping", "good"),
    ],
)
def test_promised_against_realised(changes, words, tone):
    card = cell_card(cell(**changes), "chat")
    assert card.judgement.startswith(words)
    assert card.judgement_tone == tone
    assert "Asked for 1 in 1,000" in card.drawing_words


def test_a_cell_without_calibration_is_not_drawn():
    assert cell_card(cell(source="none"), "chat").drawing is None


def test_filters_there_and_back():
    filters = read_filters(
        {"effect": "hold", "principal": "a&b=c", "before": "7", "system": " x ", "color": "red"}
    )
    assert (filters.query.effect_at_least, filters.query.principal) == (Effect.HOLD, "a&b=c")
    assert (filters.query.before_index, filters.query.system) == (7, "x")
    assert filters.problems == ()
    assert filters.older(3) == "/console/events?system=x&effect=hold&principal=a%26b%3Dc&before=3"
    assert filters.newest == "/console/events?system=x&effect=hold&principal=a%26b%3Dc"
    assert read_filters({}).newest == "/console/events"


@pytest.mark.parametrize(
    "bad", [{"effect": "x"}, {"since": "soon"}, {"until": "9" * 600}, {"before": "-1"}, {"before": "9" * 40}]
)
def test_a_bad_filter_is_said_and_does_not_restrict(bad):
    filters = read_filters(bad)
    assert len(filters.problems) == 1
    assert filters.query == read_filters({}).query
