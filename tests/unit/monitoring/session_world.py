"""A small world in which sessions are simulated: two clouds and a linear model."""

from unittest import mock

import numpy as np

from bartizan.calibration import contrast
from bartizan.features.sketch import Scale
from bartizan.monitoring.clients import simulate_benign
from bartizan.monitoring.searchers import simulate_searches
from bartizan.monitoring.sessions import learn_sessions, watch_recorded

COLUMNS = 6


def rows(seed=0, n=400):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, COLUMNS)) + np.where(rng.random((n, 1)) < 0.5, 1.0, -1.0)


def model(inputs):
    odds = np.clip(np.asarray(inputs).sum(axis=1), -50, 50)
    p = 1 / (1 + np.exp(-odds))
    return np.column_stack([1 - p, p])


def learned(sessions=200, searches=72, seed=1, **options):
    # A fifth of the training is enough for so small a world.
    with mock.patch.object(contrast, "STEPS", 300):
        return learn_sessions(
            rows(), model, np.random.default_rng(seed), key=b"set-up", name="world", created=5.0,
            sessions=sessions, searches=searches, rate=0.05, **options,
        )  # fmt: skip


def recorded(seed=7, n=30):
    return list(simulate_benign(rows(2), model, n, np.random.default_rng(seed)))


def searches(seed=8, n=18):
    return list(simulate_searches(rows(3), model, n, np.random.default_rng(seed)))


__all__ = ["COLUMNS", "Scale", "learned", "model", "recorded", "rows", "searches", "watch_recorded"]
