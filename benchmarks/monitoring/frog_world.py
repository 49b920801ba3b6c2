"""Windows of a stream with an attacker in it, and anchors learnt without one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bartizan.alarms import Events
from bartizan.monitoring.baseline import Baseline, Settings
from bartizan.monitoring.learning import learn
from bartizan.monitoring.stored import sealed
from benchmarks.monitoring import ramps

WINDOW = 10_000
CALIBRATION = 100_000
CLIENTS = 2_000
_CLIENT = np.array(
    [f"client-{i}" for i in range(CLIENTS)] + [f"account-{i}" for i in range(1000)], dtype=object
)
_NETWORK = np.array([f"network-{i}" for i in range(400)], dtype=object)


@dataclass(frozen=True, slots=True)
class World:
    """Who sends what.

    Attributes:
        share: Of the attacker, in untrusted events.
        accounts: It has this many.
        networks: In this many of the 400 networks that there are.
        trusted: Share of trusted sources in all events.
        heavy: Whether benign clients differ in size (Zipf over 50) and in level (deviation .3).
    """

    share: float = 0.0
    accounts: int = 1000
    networks: int = 200
    trusted: float = 0.0
    heavy: bool = False

    def window(self, rng: np.random.Generator, r: int, n: int, own: float, drift: float = 0.0) -> Events:
        """Return the ``r``-th window: attacker's events at ``own``, everybody's moved by ``drift``."""
        sure = rng.random(n) < self.trusted
        evil = ~sure & (rng.random(n) < self.share)
        if self.heavy:
            weights = 1 / np.arange(1, 51)
            client = rng.choice(50, n, p=weights / weights.sum())
            level = np.random.default_rng(7).normal(size=50)[client] * 0.3
        else:
            client, level = rng.integers(0, CLIENTS, n), np.zeros(n)
        account = rng.integers(0, self.accounts, n)
        network = np.where(evil, 400 - 1 - account % self.networks, client % 400)
        who = np.where(evil, CLIENTS + account, client)
        x = rng.normal(size=n) + np.where(evil, own, level + drift)
        times = r * float(WINDOW) + np.arange(n) * WINDOW / n
        return Events(
            times,
            {"x": x},
            principals=tuple(_CLIENT[who]),
            trusted=sure,
            groups={"network": tuple(_NETWORK[network])},
        )


def anchor_of(world: World, seed: int, n: int = CALIBRATION) -> Baseline:
    rng = np.random.default_rng([seed, 9])
    events = replace(world, share=0.0).window(rng, -1, n, 0.0)
    return learnt(events, rng)


def learnt(events: Events, rng: np.random.Generator) -> Baseline:
    """Learn a baseline, and watch the one input alone: nobody leaves values out here."""
    baseline = learn(events, name="benign", created=0.0, rng=rng, settings=Settings(ramps.THRESHOLD))
    return sealed(replace(baseline, streams=baseline.streams[:1], digest=""))
