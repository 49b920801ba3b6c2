import numpy as np
import pytest

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Settings
from bartizan.monitoring.learning import learn

TENANTS = 30
START = 1_700_000_000.0


class Traffic:
    """A stream of four inputs and two-class answers from tenants that differ from each other."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.offsets = np.random.default_rng(99).normal(size=(TENANTS, 4)) * 0.3
        weights = 1 / np.arange(1, TENANTS + 1)
        self.weights = weights / weights.sum()
        self.clock = START

    def events(self, n, change=None, trusted=0.05):
        who = self.rng.choice(TENANTS, n, p=self.weights)
        x = self.rng.normal(size=(n, 4)) + self.offsets[who]
        sure = self.rng.random(n) < trusted
        if change is not None:
            change(x, who, sure)
        times = self.clock + np.arange(n)
        self.clock += n
        p = 1 / (1 + np.exp(-x[:, 0] - 0.5 * x[:, 1]))
        return Events(
            times,
            {f"x{i}": x[:, i] for i in range(4)},
            np.stack([1 - p, p], axis=1),
            principals=tuple(f"tenant-{i}" for i in who),
            trusted=sure,
            ids=tuple(f"bz-{int(t)}" for t in times),
            groups={"network": tuple(f"net-{i // 10}" for i in who)},
        )


@pytest.fixture
def traffic():
    return Traffic


@pytest.fixture(scope="session")
def baseline():
    rng = np.random.default_rng(0)
    return learn(Traffic(1).events(20_000), name="benign", created=0.0, rng=rng, settings=Settings(1e5))
