from __future__ import annotations

import numpy as np
import pytest

from bartizan.cli.demo.digits import COLUMNS, LARGEST_PIXEL, Classifier, Labelled, Split
from bartizan.cli.demo.row_attacks import (
    L2_EPSILON,
    LINF_EPSILON,
    RowAttack,
    adversarial_attacks,
    foreign_rows,
    pgd_linf,
)

LEAST_SUCCESS = {
    "fgsm": 0.85,
    "pgd-linf": 0.95,
    "pgd-in-range": 0.9,
    "pgd-l2": 0.5,
    "square": 0.85,
    "boundary": 0.95,
}


@pytest.fixture(scope="module")
def clean(data: Split) -> Labelled:
    return Labelled(data.test.inputs[:150], data.test.labels[:150])


@pytest.fixture(scope="module")
def adversarial(classifier: Classifier, clean: Labelled, data: Split) -> dict[str, RowAttack]:
    attacks = adversarial_attacks(classifier, clean, data.train.inputs, np.random.default_rng(0))
    return {attack.family: attack for attack in attacks}


@pytest.fixture(scope="module")
def foreign(classifier: Classifier, clean: Labelled) -> dict[str, RowAttack]:
    return {a.family: a for a in foreign_rows(classifier, clean, np.random.default_rng(0))}


@pytest.mark.parametrize("family", LEAST_SUCCESS)
def test_attacks_flip_labels_that_were_right(
    family: str, adversarial: dict[str, RowAttack], classifier: Classifier, clean: Labelled
) -> None:
    attack = adversarial[family]
    truth = clean.labels[attack.sources]
    np.testing.assert_array_equal(classifier.labels(clean.inputs[attack.sources]), truth)
    assert (classifier.labels(attack.inputs) != truth).all()
    assert attack.success_rate >= LEAST_SUCCESS[family]
    right = (classifier.labels(clean.inputs) == clean.labels).sum()
    assert len(attack.inputs) == round(attack.success_rate * right)


def test_every_adversarial_family_is_tested_here(adversarial: dict[str, RowAttack]) -> None:
    assert adversarial.keys() == LEAST_SUCCESS.keys()
    assert all(attack.adversarial for attack in adversarial.values())


def test_attacks_stay_on_the_grid_of_pixels(
    adversarial: dict[str, RowAttack], foreign: dict[str, RowAttack]
) -> None:
    for attack in (adversarial | foreign).values():
        np.testing.assert_array_equal(attack.inputs, np.round(attack.inputs))
        assert attack.inputs.min() >= 0.0
        assert attack.inputs.max() <= LARGEST_PIXEL
        assert attack.inputs.shape == (len(attack.sources), COLUMNS)


def test_attacks_keep_to_their_size(adversarial: dict[str, RowAttack], clean: Labelled) -> None:
    for family in ("fgsm", "pgd-linf", "pgd-in-range", "square"):
        change = adversarial[family].inputs - clean.inputs[adversarial[family].sources]
        # A clean pixel outside the training range is brought back into it by the in-range attack.
        assert np.quantile(np.abs(change), 0.999) <= LINF_EPSILON
    change = adversarial["pgd-l2"].inputs - clean.inputs[adversarial["pgd-l2"].sources]
    rounding = 0.5 * np.sqrt(COLUMNS)
    assert np.linalg.norm(change, axis=1).max() <= L2_EPSILON + rounding


def test_the_attack_in_range_keeps_to_the_training_range(
    adversarial: dict[str, RowAttack], data: Split
) -> None:
    rows, seen = adversarial["pgd-in-range"].inputs, data.train.inputs
    assert (rows >= seen.min(axis=0)).all()
    assert (rows <= seen.max(axis=0)).all()


def test_the_attack_that_sees_labels_only_comes_closer_than_another_digit(
    adversarial: dict[str, RowAttack], clean: Labelled
) -> None:
    attack = adversarial["boundary"]
    clean = clean.inputs[attack.sources]
    moved = np.linalg.norm(attack.inputs - clean, axis=1)
    other = np.linalg.norm(np.roll(clean, 1, axis=0) - clean, axis=1)
    assert np.median(moved) < 0.6 * np.median(other)


def test_foreign_rows_are_many_and_mostly_misread(foreign: dict[str, RowAttack], clean: Labelled) -> None:
    assert len(foreign) >= 6
    assert not any(attack.adversarial for attack in foreign.values())
    for family, attack in foreign.items():
        assert not np.array_equal(attack.inputs, clean.inputs[attack.sources])
        assert attack.success_rate > (0.05 if family == "added-noise" else 0.5)


def test_same_generator_same_attack(classifier: Classifier, clean: Labelled) -> None:
    few = Labelled(clean.inputs[:20], clean.labels[:20])
    one, other = (pgd_linf(classifier, few.inputs, few.labels, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_no_budget_no_change(classifier: Classifier, clean: Labelled) -> None:
    rows, labels = clean.inputs[:20], clean.labels[:20]
    moved = pgd_linf(classifier, rows, labels, np.random.default_rng(5), epsilon=0.0)
    np.testing.assert_array_equal(moved, rows)
