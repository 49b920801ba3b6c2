import numpy as np
import pytest

from bartizan.features.attributions import attributions_of, pattern_of
from bartizan.features.variants import OCCLUSION
from bartizan.ports import Unavailable
from bartizan.types import Origin, Part, PartKind, Rows


def part_of(outputs, occluded):
    outputs, occluded = np.asarray(outputs, dtype=float), np.asarray(occluded, dtype=float)
    return Part(
        PartKind.ROWS,
        Origin.USER,
        rows=Rows(np.zeros((len(outputs), 2)), outputs, variants={OCCLUSION: occluded}),
    )


def test_an_attribution_is_what_the_answered_class_loses():
    part = part_of([[0.9, 0.1], [0.2, 0.8]], [[[0.4, 0.6], [0.9, 0.1]], [[0.1, 0.9], [0.7, 0.3]]])
    assert attributions_of(part) == pytest.approx(np.array([[0.5, 0.0], [-0.1, 0.5]]))


def test_a_pattern_has_one_length_whatever_the_drops():
    part = part_of([[0.9, 0.1], [0.99, 0.01]], [[[0.8, 0.2], [0.9, 0.1]], [[0.5, 0.5], [0.99, 0.01]]])
    patterns = pattern_of(part)
    assert patterns == pytest.approx(np.array([[np.sqrt(2.0), 0.0]] * 2))


def test_where_nothing_matters_the_pattern_is_nothing():
    part = part_of([[0.9, 0.1]], [[[0.9, 0.1], [0.9, 0.1]]])
    assert pattern_of(part).tolist() == [[0.0, 0.0]]


def test_answers_that_are_no_numbers_attribute_nothing():
    part = part_of([[np.nan, 0.1], [0.9, 0.1]], [[[0.4, 0.6]], [[np.nan, 0.6]]])
    assert attributions_of(part).tolist() == [[0.0], [0.0]]


def test_without_copies_there_are_none():
    bare = Part(PartKind.ROWS, Origin.USER, rows=Rows(np.zeros((1, 2)), np.array([[0.5, 0.5]])))
    with pytest.raises(Unavailable, match="occluded"):
        attributions_of(bare)
    assert attributions_of(part_of(np.empty((0, 2)), np.empty((0, 3, 2)))).shape == (0, 3)
