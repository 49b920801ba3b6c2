import numpy as np
import pytest

from bartizan.alarms import Events
from bartizan.errors import CalibrationError
from bartizan.monitoring.streams import MAX_COLUMNS, OTHER, learn_stream, sources


def events(columns, outputs=None):
    n = len(next(iter(columns.values())))
    return Events(np.arange(float(n)), columns, outputs)


def strings(*values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def test_every_column_and_what_the_model_answered_are_streams():
    found = sources(events({"a": np.arange(3.0), "b": strings("x", "y", None)}, np.array([[0.9, 0.1]] * 3)))
    assert set(found) == {"input.a", "input.b", "output.class", "output.confidence", "missing", "schema"}
    assert found["output.class"].tolist() == ["0", "0", "0"]
    assert found["output.confidence"] == pytest.approx([0.9, 0.9, 0.9])


def test_missing_values_and_broken_ones_are_counted_apart():
    found = sources(events({"a": np.array([1.0, np.nan, np.inf]), "b": strings(None, None, "x")}))
    assert found["missing"].tolist() == ["1", "2", "0"]
    assert found["schema"].tolist() == ["0", "0", "1"]


def test_no_answer_is_a_missing_value():
    found = sources(events({"a": np.zeros(2)}, np.array([[0.5, 0.5], [np.nan, np.nan]])))
    assert found["missing"].tolist() == ["0", "1"]
    assert found["output.class"].tolist() == ["0", None]
    assert np.isnan(found["output.confidence"][1])


def test_one_output_column_is_a_value():
    assert set(sources(events({"a": np.zeros(2)}, np.array([[3.0], [7.0]])))) >= {"output.value"}


def test_wide_inputs_are_watched_in_groups():
    wide = {f"pixel-{i}": np.full(5, float(i)) for i in range(MAX_COLUMNS + 50)}
    found = sources(events(wide))
    assert len(found) < 70
    name = next(iter(found))
    assert name.startswith("input.mean of pixel-0 to pixel-")


def test_a_number_that_is_missing_says_nothing():
    stream = learn_stream("input.a", np.arange(1000.0), 1e-3, np.random.default_rng(0))
    bins = stream.bins(np.array([np.nan, np.inf, 5000.0]), np.full(3, 0.5))
    assert bins.tolist() == [-1, -1, len(stream.share) - 1]


def test_categories_never_seen_are_other_and_their_rate_is_counted_honestly():
    rng = np.random.default_rng(0)
    values = strings(*rng.choice(["a", "b", "c"], 1000).tolist(), *(["new"] * 200))
    stream = learn_stream("input.k", values, 1e-3, rng)
    assert stream.categories[-1] == OTHER
    assert set(stream.categories[:-1]) == {"a", "b", "c"}
    assert stream.share[-1] == pytest.approx(200 / 960, abs=0.02)
    assert stream.bins(strings("a", "zebra", None), np.zeros(3)).tolist()[1:] == [3, 3]


def test_a_column_of_nothing_is_refused():
    with pytest.raises(CalibrationError, match=r"input\.a holds no numbers"):
        learn_stream("input.a", np.full(100, np.nan), 1e-3, np.random.default_rng(0))
