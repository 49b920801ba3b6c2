import io

import numpy as np
import pytest
from rich.console import Console

from bartizan.cli.lines import Line
from bartizan.cli.row_calibration import learnt, lines_of_rows, parted, print_selection, rows_of_lines
from bartizan.config import from_mapping
from bartizan.errors import CalibrationError
from bartizan.features.variants import STATE
from bartizan.types import Rows

RNG = np.random.default_rng(2)
INPUTS = RNG.normal(size=(300, 5))
WEIGHTS = RNG.normal(size=(5, 3)) * 3


def model(inputs):
    odds = np.exp(inputs @ WEIGHTS)
    return Rows(inputs, odds / odds.sum(axis=1, keepdims=True), embedding=np.tanh(inputs @ WEIGHTS))


def taught(tmp_path, ask=model, rows=None, **more):
    system = {"name": "s", "kind": "predict", "upstream": {"url": "http://x.test"}} | more
    config = from_mapping({"systems": [system]}, base=tmp_path)
    known = model(INPUTS) if rows is None else rows
    learn, first = parted(known, np.random.default_rng(0), 0.6)
    return learnt(config.systems[0], learn, first, ask, rate=0.02, ranked=480, rng=np.random.default_rng(1))


def test_all_that_the_system_can_feed_is_measured(tmp_path):
    found = taught(tmp_path, extra_calls=True, embedding_output="e")
    measured = set(found.selection.power["noise"])
    assert {"rows.squeezing", "rows.attribution", "rows.embedding", "rows.range", "rows.entropy"} <= measured
    assert set(found.names) == set(found.selection.on)
    assert set(found.selection.on) | set(found.selection.off) == measured
    assert set(found.states) <= set(found.names) | {STATE}


def test_what_has_no_model_or_no_embedding_is_no_candidate(tmp_path):
    bare = Rows(INPUTS, model(INPUTS).outputs)
    found = taught(tmp_path, None, bare, extra_calls=True, embedding_output="e")
    assert {"rows.margin", "rows.energy"} <= set(found.names), "not measured, so they stay"
    known = set(found.selection.power["noise"])
    assert not known & {"rows.squeezing", "rows.attribution", "rows.embedding", "rows.margin", "rows.entropy"}
    assert STATE not in found.states


def test_the_operators_list_is_not_chosen_from(tmp_path):
    found = taught(tmp_path, extra_calls=True, detectors=["rows.squeezing", "rows.margin"])
    assert found.names == ("rows.squeezing", "rows.margin")
    assert found.selection is None
    assert set(found.states) == {"rows.squeezing", STATE}
    asked = found.asked(model(INPUTS[:3]), model)
    assert set(asked.variants) == {"squeeze-depth", "squeeze-median"}


def test_a_listed_detector_that_compares_answers_needs_a_model(tmp_path):
    with pytest.raises(CalibrationError, match="squeezing has nothing to learn"):
        taught(tmp_path, None, extra_calls=True, detectors=["rows.squeezing"])


def test_lines_give_rows_and_rows_give_lines():
    how = {"outputs": [0.25, 0.75], "embedding": [1.0, 2.0, 3.0]}
    rows = rows_of_lines([Line(0, [1.0, 2.0], how), Line(1, [3.0, 4.0], how)], None)
    assert (rows.inputs.shape, rows.outputs.shape, rows.embedding.shape) == ((2, 2), (2, 2), (2, 3))
    second = lines_of_rows(rows)[1].content
    np.testing.assert_array_equal(second.inputs, [[3.0, 4.0]])
    np.testing.assert_array_equal(second.embedding, [[1.0, 2.0, 3.0]])
    partly = rows_of_lines([Line(0, [1.0], how), Line(1, [3.0])], None)
    assert partly.outputs is None
    with pytest.raises(CalibrationError, match="rectangular"):
        rows_of_lines([Line(0, [1.0]), Line(1, [1.0, 2.0])], None)


def test_the_choice_is_printed(tmp_path):
    out = io.StringIO()
    print_selection(Console(file=out, width=160), taught(tmp_path, None).selection)
    text = out.getvalue()
    assert "rows.mahalanobis" in text
    assert "those on, together" in text
    assert "without being measured" in text
