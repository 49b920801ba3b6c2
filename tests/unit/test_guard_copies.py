"""A guarded model is asked about changed copies where detectors want that."""

import numpy as np
import pytest

from bartizan import Guard
from bartizan.assembly import fitted_states
from bartizan.calibration.build import build_table
from bartizan.calibration.table import Table, encode
from bartizan.config import from_mapping
from bartizan.detectors.rows.attribution import Attribution
from bartizan.detectors.rows.squeezing import Squeezing
from bartizan.features.variants import KINDS, MAX_ROWS, STATE, Recipe, with_all_variants
from bartizan.types import FaultReason, Rows

RNG = np.random.default_rng(8)
WEIGHTS = np.array([2.0, -1.0, 0.5, 0.0])
DETECTORS = ("rows.squeezing", "rows.attribution", "rows.margin")


class Model:
    def __init__(self):
        self.asked = []

    def predict_proba(self, rows):
        rows = np.asarray(rows, dtype=float).reshape(-1, 4)
        self.asked.append(len(rows))
        p = 1.0 / (1.0 + np.exp(-(rows @ WEIGHTS)))
        return np.column_stack([1.0 - p, p])

    def predict(self, rows):
        rows = np.asarray(rows, dtype=float).reshape(-1, 4)
        return (rows @ WEIGHTS > 0).astype(int)


def answered(rows):
    return Rows(rows, Model().predict_proba(rows))


@pytest.fixture(scope="module")
def guard(tmp_path_factory):
    path = tmp_path_factory.mktemp("guard")
    reference = RNG.normal(size=(300, 4))
    recipe = Recipe.of(reference)
    rows = with_all_variants(answered, recipe, KINDS, answered(reference))
    states = fitted_states((Squeezing(), Attribution()), rows.inputs, rows.outputs, rows=rows)
    states[STATE] = recipe.state()
    system = {
        "name": "m", "kind": "predict", "upstream": {"url": "http://x.test"}, "extra_calls": True,
        "detectors": list(DETECTORS), "calibration": {"file": "t"},
    }  # fmt: skip
    config = from_mapping({"false_alarm_rate": 0.05, "systems": [system]}, base=path)
    (path / "t").write_bytes(encode(Table("fitting", 0.0, {}, states)))
    fitting = Guard.from_config(config)
    benign = with_all_variants(answered, recipe, KINDS, answered(RNG.normal(size=(400, 4))))
    measured = []
    for i in range(400):
        one = Rows(
            benign.inputs[i : i + 1],
            benign.outputs[i : i + 1],
            variants={k: v[i : i + 1] for k, v in benign.variants.items()},
        )
        measured += [v.measured for v in fitting.steps(one)]
    table = build_table(
        measured, name="t", source="operator", created=0.0, units=dict.fromkeys(DETECTORS, 0.5),
        versions={}, rng=np.random.default_rng(0), fitted=states,
    )  # fmt: skip
    (path / "t").write_bytes(encode(table))
    return Guard.from_config(config)


def test_a_wrapped_model_is_asked_once_more(guard):
    model = Model()
    wrapped = guard.wrap(model)
    row = [[2.0, 0.0, 0.5, 0.1]]
    wrapped.predict_proba(row)
    copies = sum(Recipe.of(np.eye(4)).counts(KINDS).values())
    assert model.asked == [1, copies]
    wrapped.predict(row)
    assert model.asked == [1, copies] * 2


def test_with_copies_all_three_judge_and_without_two_do_not(guard):
    row = np.array([[2.0, 0.0, 0.5, 0.1]])
    outputs = Model().predict_proba(row)
    told = guard.check(row, outputs=outputs, model=Model().predict_proba)
    assert set(told.measured.maxima) == set(DETECTORS)
    assert told.faults == told.coverage.unjudged == ()
    bare = guard.check(row, outputs=outputs)
    assert set(bare.measured.maxima) == {"rows.margin"}
    assert {u.why.split(" ")[0] for u in bare.coverage.unjudged} == {"rows.squeezing", "rows.attribution"}
    assert bare.faults == ()


def test_many_rows_are_not_asked_about_and_that_is_said(guard):
    rows = RNG.normal(size=(MAX_ROWS + 1, 4))
    verdict = guard.check(rows, outputs=Model().predict_proba(rows), model=Model().predict_proba)
    assert all("more than 64 rows" in u.why for u in verdict.coverage.unjudged)
    assert len(verdict.coverage.unjudged) == 2


def test_a_failed_call_is_a_fault_and_never_safe(guard):
    rows = answered(np.array([[2.0, 0.0, 0.5, 0.1]]))
    failed = Rows(rows.inputs, rows.outputs, lacking="no answer in time", failed=FaultReason.TIMEOUT)
    verdict = guard.check(failed)
    assert {(f.detector, f.reason) for f in verdict.faults} == {
        ("rows.squeezing", FaultReason.TIMEOUT),
        ("rows.attribution", FaultReason.TIMEOUT),
    }
    assert "no answer in time" in verdict.faults[0].detail
