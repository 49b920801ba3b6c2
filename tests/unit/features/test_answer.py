import math

import numpy as np
import pytest

from bartizan.features.answer import read_answer
from bartizan.features.rows import read_answers


@pytest.mark.parametrize("seed", range(3))
def test_one_row_is_read_as_many_are(seed):
    rng = np.random.default_rng(seed)
    for outputs in (rng.dirichlet(np.ones(4), 20), rng.normal(size=(20, 4)) * 5, rng.random((20, 1))):
        together = read_answers(outputs)
        for k, row in enumerate(outputs):
            answer = read_answer(row)
            assert answer.label == together.classes[k]
            assert answer.confidence == pytest.approx(together.probabilities[k].max(), abs=0.02)


def test_what_is_no_classification_has_no_answer():
    for outputs in (None, np.array([]), np.array([7.0]), np.array([np.nan, 1.0]), np.array([np.inf, 1.0])):
        assert read_answer(outputs) is None


def test_the_margin_is_the_lead_of_a_class_over_the_best_other_one():
    answer = read_answer(np.array([0.2, 0.5, 0.3]))
    assert answer.margin(1) == pytest.approx(math.log(0.5 / 0.3))
    assert answer.margin(0) == pytest.approx(math.log(0.2 / 0.5))
    assert answer.lead() == answer.margin(1)
