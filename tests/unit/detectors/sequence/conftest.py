import numpy as np
import pytest

from bartizan.features.answer import read_answer
from bartizan.features.sessions import State
from bartizan.features.sketch import DISTANCE_EDGES

WIDTH = 6
LAW = tuple(
    np.r_[np.full(6, 0.005), np.full(len(DISTANCE_EDGES) - 5, 0.97 / (len(DISTANCE_EDGES) - 5))].tolist()
)


def view(rows, outputs):
    state = State(WIDTH, 0.5, LAW, 0.0)
    for k, (row, answer) in enumerate(zip(rows, outputs, strict=True)):
        sketch = np.asarray(row, np.float32)
        cell = hash(tuple(np.floor(row).tolist()))
        state.add(sketch, cell, read_answer(np.asarray(answer)), "a", float(k), state.nearest(sketch))
    return state.view()


@pytest.fixture
def strangers():
    """Unrelated rows, answered mostly with one class."""
    rng = np.random.default_rng(0)
    return view(rng.normal(size=(60, WIDTH)), rng.dirichlet([6, 1, 1], 60))


@pytest.fixture
def cloud():
    """An explanation: noise around one row, all answered alike and for sure."""
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.95, 0.99, 60)
    return view(
        rng.normal(size=(60, WIDTH)) * 0.06, np.column_stack([sure, (1 - sure) * 0.6, (1 - sure) * 0.4])
    )


@pytest.fixture
def climb():
    """A search: steps that go on from the best so far, towards another answer."""
    rng = np.random.default_rng(2)
    rows = np.cumsum(0.03 + rng.normal(size=(60, WIDTH)) * 0.02, axis=0)
    sure = np.linspace(0.94, 0.45, 60)
    return view(rows, np.column_stack([sure, 0.9 - sure * 0.9, 0.1 - sure * 0.1]))


@pytest.fixture
def bisection():
    """A search at the boundary: on either side of it, ever nearer."""
    places = 0.4 * 0.85 ** np.arange(60) * np.random.default_rng(5).uniform(-1.0, 1.0, 60)
    rows = np.outer(places, np.ones(WIDTH) / np.sqrt(WIDTH))
    return view(rows, np.where(places[:, None] > 0, [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]))


@pytest.fixture
def copying():
    """A transfer set: far-flung rows, each class equally often."""
    rng = np.random.default_rng(3)
    return view(rng.uniform(-6, 6, (60, WIDTH)), 0.1 + 0.7 * np.eye(3)[np.arange(60) % 3])
