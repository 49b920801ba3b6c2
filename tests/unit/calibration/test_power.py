import numpy as np
import pytest

from bartizan.calibration.attacks import Attacks
from bartizan.calibration.build import build_table
from bartizan.calibration.power import MIN_ROWS, select
from bartizan.calibration.table import Selection, Table, decode, encode
from bartizan.features.variants import Recipe
from bartizan.ports import Unavailable
from bartizan.types import DetectorSpec, Measured, Origin, PartKind, Rows, Scores, Step

RNG = np.random.default_rng(4)
BENIGN = RNG.normal(size=(200, 4))


def model(inputs):
    p = 1.0 / (1.0 + np.exp(-3.0 * inputs[:, 0]))
    return Rows(inputs, np.column_stack([1.0 - p, p]))


class Column:
    """Scores one column's size; or, without a column, the same for everything."""

    def __init__(self, name, column=None, **changes):
        self._column = column
        self.spec = DetectorSpec(
            name, "1", frozenset({Step.EXCHANGE}), frozenset({PartKind.ROWS}), frozenset(Origin), **changes
        )

    def score(self, part, features):
        if self.spec.needs_outputs and part.rows.outputs is None:
            raise Unavailable("no outputs")
        values = (
            part.rows.inputs[:, self._column] if self._column is not None else np.zeros(len(part.rows.inputs))
        )
        return Scores(tuple(np.abs(values).tolist()))


def attack(column):
    rows = RNG.normal(size=(100, 4))
    rows[:, column] = 30.0
    return Rows(rows)


def chosen(detectors, attacks, *, usual=(), rows=BENIGN, rate=0.02, ranked=800):
    return select(
        detectors, model(rows), attacks, usual=usual, rate=rate, ranked=ranked, rng=np.random.default_rng(0)
    )


def test_what_finds_is_on_and_what_does_not_is_off():
    detectors = [Column("rows.a", 0), Column("rows.idle"), Column("rows.b", 1), Column("rows.c", 2)]
    made = chosen(detectors, {"first": attack(0), "second": attack(1)}, usual=("rows.idle",))
    assert set(made.on) == {"rows.a", "rows.b"}
    assert set(made.off) == {"rows.idle", "rows.c"}
    assert made.power["first"]["rows.a"] == 1.0
    assert made.power["second"]["rows.a"] < 0.2
    assert made.together == {"first": 1.0, "second": 1.0}
    assert made.usual == {"first": 0.0, "second": 0.0}
    assert made.rows == len(BENIGN)


def test_of_two_that_find_the_same_one_is_enough():
    made = chosen([Column("rows.a", 0), Column("rows.twin", 0)], {"first": attack(0)})
    assert len(made.on) == 1


def test_extra_calls_have_to_be_worth_it():
    same = [Column("rows.a", 0), Column("rows.asks", 0, needs_variants=("occlusion",))]
    assert chosen(same, {"first": attack(0)}).on == ("rows.a",)
    more = [Column("rows.a", 0), Column("rows.asks", 1, needs_variants=("occlusion",))]
    assert set(chosen(more, {"first": attack(0), "second": attack(1)}).on) == {"rows.a", "rows.asks"}


def test_what_could_not_be_measured_stays_what_it_was():
    detectors = [
        Column("rows.a", 0),
        Column("rows.margin", 1, needs_outputs=True),
        Column("rows.new", 1, needs_outputs=True),
    ]
    made = chosen(detectors, {"first": attack(0)}, usual=("rows.margin",))
    assert set(made.on) == {"rows.margin", "rows.a"}
    assert "rows.new" not in made.off
    assert "rows.margin" not in made.power["first"]


def test_where_nothing_helps_the_usual_stay_on():
    made = chosen([Column("rows.idle"), Column("rows.other")], {"first": attack(0)}, usual=("rows.idle",))
    assert made.on == ("rows.idle",)


def test_too_few_rows_choose_nothing():
    assert chosen([Column("rows.a", 0)], {"first": attack(0)}, rows=BENIGN[: MIN_ROWS - 1]) is None
    assert chosen([], {"first": attack(0)}) is None
    assert chosen([Column("rows.a", 0)], {}) is None


def both(rows):
    return [Measured("exchange", 1, {"rows.a": abs(float(r[0])), "rows.b": abs(float(r[1]))}) for r in rows]


@pytest.mark.parametrize("rate", [0.2, 0.01])
def test_power_is_what_tables_of_that_level_will_find(rate):
    detectors, units = [Column("rows.a", 0), Column("rows.b", 1)], {"rows.a": 1.0, "rows.b": 1.0}
    rng, expected, found = np.random.default_rng(6), [], []
    attacks = rng.normal(size=(300, 4)) * [3.0, 1.0, 1.0, 1.0]
    for _ in range(15):
        first, second = rng.normal(size=(120, 4)), rng.normal(size=(480, 4))
        made = chosen(detectors, {"x": Rows(attacks)}, usual=units, rows=first, rate=rate, ranked=480)
        expected.append(made.usual["x"])
        table = build_table(
            both(second), first=both(first), name="t", source="operator", created=0.0, units=units,
            versions={}, rng=rng,
        )  # fmt: skip
        cell, level = table.cells["exchange"], table.level("exchange", rate)
        assert made.level == level.rate
        alarms = [cell.statistics.p_value(cell.statistic(m)) <= level.threshold for m in both(attacks)]
        found.append(np.mean(alarms))
    assert np.mean(expected) == pytest.approx(np.mean(found), abs=0.05)
    # Ranks of so few rows alone say something else where the level is strict.
    laxer = chosen(detectors, {"x": Rows(attacks)}, usual=units, rows=first, rate=rate, ranked=120)
    assert rate > 0.1 or laxer.usual["x"] > np.mean(found) + 0.05


def test_stage_one_may_be_given_apart():
    points = both(RNG.normal(size=(300, 4)))
    made = {"name": "t", "source": "operator", "created": 0.0, "units": {"rows.a": 1.0, "rows.b": 1.0}}
    table = build_table(points[100:], first=points[:100], versions={}, rng=np.random.default_rng(0), **made)
    cell = table.cells["exchange"]
    assert cell.references["rows.a"].ranking.n == 100
    assert cell.statistics.n == 200


def test_a_selection_survives_the_tables_bytes_and_older_tables_keep_theirs():
    selection = Selection(("rows.a",), ("rows.b",), 0.01, 99, {"x": {"rows.a": 1.0}}, {"x": 1.0}, {"x": 0.5})
    table = Table("t", 0.0, {}, selection=selection)
    assert decode(encode(table)).selection == selection
    assert b"selection" not in encode(Table("t", 0.0, {}))


# -- attacks --------------------------------------------------------------------------------


def made_from(rows, ask, seed=0):
    return Attacks(rows, np.random.default_rng(seed)).made(model(rows), ask)


def test_attacks_are_the_same_for_the_same_seed_and_need_a_model_to_search():
    first, again = made_from(BENIGN, model), made_from(BENIGN, model)
    assert sorted(first) == ["boundary", "foreign", "interpolation", "noise", "out-of-range", "score"]
    for name, rows in first.items():
        np.testing.assert_array_equal(rows, again[name])
        assert np.isfinite(rows).all()
    assert sorted(made_from(BENIGN, None)) == ["foreign", "interpolation", "noise", "out-of-range"]


def test_without_classes_nothing_leads_from_one_to_another():
    alone = Attacks(BENIGN, np.random.default_rng(0))
    assert sorted(alone.made(Rows(BENIGN), None)) == ["foreign", "noise", "out-of-range"]
    one_class = Rows(BENIGN, np.tile([0.9, 0.1], (len(BENIGN), 1)))
    assert sorted(alone.made(one_class, model)) == ["foreign", "noise", "out-of-range"]


def test_attacks_keep_to_the_range_and_to_whole_numbers_except_where_leaving_is_the_point():
    rows = np.column_stack([BENIGN[:, :2], RNG.integers(0, 9, size=(200, 2))])
    recipe = Recipe.of(rows)
    for name, made in made_from(rows, model).items():
        assert (made[:, 2:] == np.round(made[:, 2:])).all(), name
        outside = ((made < recipe.low) | (made > recipe.high)).sum(axis=1)
        assert set(outside.tolist()) == ({1} if name == "out-of-range" else {0}), name


def test_the_bisection_ends_just_behind_the_boundary():
    made = made_from(BENIGN, model)["boundary"]
    before, after = model(BENIGN[:200]).outputs.argmax(axis=1), model(made).outputs
    assert (after.argmax(axis=1) != before).all()
    assert np.abs(after[:, 0] - after[:, 1]).max() < 0.05


def test_the_score_attack_flips_answers_and_goes_on():
    made = made_from(BENIGN, model)["score"]
    after = model(made).outputs
    assert np.median(after.max(axis=1)) > 0.8


def test_foreign_rows_have_the_columns_of_honest_ones_and_not_their_ties():
    tied = np.column_stack([BENIGN[:, 0], BENIGN[:, 0]])
    made = Attacks(tied, np.random.default_rng(0)).made(Rows(tied), None)["foreign"]
    np.testing.assert_array_equal(np.sort(made, axis=0), np.sort(tied, axis=0))
    assert abs(np.corrcoef(made.T)[0, 1]) < 0.3
