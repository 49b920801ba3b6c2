from __future__ import annotations

import numpy as np

from bartizan.cli.demo.digits import COLUMNS, LARGEST_PIXEL, Classifier, Split, split, train


def test_the_parts_are_disjoint_and_make_up_the_data(data: Split) -> None:
    sizes = [len(part.inputs) for part in (data.train, data.calibration, data.test)]
    assert sizes == [797, 600, 400]
    everything = np.vstack([data.train.inputs, data.calibration.inputs, data.test.inputs])
    # No two images of this data set are the same, so a repeated row would be a shared one.
    assert len(np.unique(everything, axis=0)) == sum(sizes)
    assert everything.shape[1] == COLUMNS
    assert everything.min() == 0.0
    assert everything.max() == LARGEST_PIXEL


def test_a_seed_gives_one_split_and_one_model(classifier: Classifier) -> None:
    split.cache_clear()
    train.cache_clear()
    again = train()
    for one, other in zip(classifier.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(split(1).train.inputs, split(2).train.inputs)


def test_the_model_is_good_and_not_perfect(classifier: Classifier, data: Split) -> None:
    accuracy = (classifier.labels(data.test.inputs) == data.test.labels).mean()
    assert 0.93 < accuracy < 1.0


def test_probabilities_add_up_and_agree_with_labels(classifier: Classifier, data: Split) -> None:
    probabilities = classifier.probabilities(data.test.inputs)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), classifier.labels(data.test.inputs))


def test_the_gradient_is_that_of_the_cross_entropy(classifier: Classifier, data: Split) -> None:
    row, label = data.test.inputs[:1] + 0.31, data.test.labels[:1]
    gradient = classifier.gradient(row, label)[0]
    step = 1e-5
    for column in range(0, COLUMNS, 7):
        moved = np.zeros((1, COLUMNS))
        moved[0, column] = step
        up, down = (-np.log(classifier.probabilities(row + sign * moved)[0, label[0]]) for sign in (1, -1))
        np.testing.assert_allclose(gradient[column], (up - down) / (2 * step), rtol=1e-3, atol=1e-7)
