"""Where a stream's evidence is drawn."""

from __future__ import annotations

import pytest

from bartizan.console.charts import WIDTH
from bartizan.console.curves import COLUMNS, HEIGHT, Raised, curve
from bartizan.store import StreamPoint

SINCE = 1_700_000_040.0
HOUR = 3600.0


def point(minute: int, highest: float = 1.0, **changes) -> StreamPoint:
    fields = {"last": highest, "value": None, "events": 10, "threshold": 10.0} | changes
    return StreamPoint("s", "x", int(SINCE) + 60 * minute, highest=highest, **fields)


def draw(*points: StreamPoint, alarms=(), span: float = HOUR):
    return curve("x", points, alarms, SINCE, SINCE + span)


def test_nothing_is_an_empty_picture():
    made = draw()
    assert (made.places, made.lines, made.marks, made.highest, made.events) == ((), (), (), 0.0, 0)
    assert made.line_y == HEIGHT


def test_higher_evidence_is_drawn_higher_and_the_line_where_the_threshold_is():
    made = draw(point(0, 0.0), point(1, 5.0), point(2, 10.0))
    ys = [p.y for p in made.places]
    assert ys == sorted(ys, reverse=True)
    assert ys[0] == HEIGHT
    assert ys[2] == pytest.approx(made.line_y)
    assert made.line_y > 0
    assert [p.above for p in made.places] == [False, False, True]


def test_everything_stays_in_the_picture():
    made = draw(*(point(i, 40.0 * (i % 2)) for i in range(60)), point(-1, 99.0), point(61, 99.0))
    assert made.top == 40.0
    assert made.highest == 40.0
    assert len(made.places) == 60
    assert all(0 <= p.x <= WIDTH and 0 <= p.y <= HEIGHT for p in made.places)
    assert [x for x, _ in made.ticks] == [WIDTH * i / 6 for i in range(7)]


def test_a_long_time_is_cut_into_stretches_that_keep_the_largest():
    points = [point(i, 9.0 if i == 777 else 1.0, value=2.0) for i in range(7 * 1440)]
    points[0] = point(0, value=8.0, events=30)
    made = draw(*points, span=7 * 86_400.0)
    assert len(made.places) == COLUMNS
    assert made.highest == 9.0
    assert made.events == 10 * 7 * 1440 + 20
    assert made.places[0].value == pytest.approx((8 * 30 + 2 * 83 * 10) / (30 + 83 * 10))
    assert sum(p.highest == 9.0 for p in made.places) == 1


def test_a_gap_is_no_line():
    made = draw(*(point(i) for i in (0, 1, 2, 30, 31, 50)))
    assert [len(line.split()) for line in made.lines] == [3, 2, 2]
    single = made.lines[2].split()
    assert single[0] == single[1]  # a dot, not nothing


def test_minutes_wider_than_a_column_are_joined():
    assert len(draw(*(point(i) for i in range(60))).lines) == 1


def test_alarms_are_marked_where_they_began_and_where_they_were_raised():
    marks = draw(
        point(0),
        alarms=[
            Raised("a", "attack", SINCE + 900, SINCE + 1800),
            Raised("b", "attack", SINCE - 900, SINCE + 1800),
            Raised("c", "attack", SINCE - 900, SINCE - 800),
            Raised("d", "attack", SINCE + 3000, SINCE + 4000),
        ],
    ).marks
    assert [(m.id, m.onset_x, m.raised_x) for m in marks] == [
        ("a", WIDTH / 4, WIDTH / 2),
        ("b", None, WIDTH / 2),
    ]
