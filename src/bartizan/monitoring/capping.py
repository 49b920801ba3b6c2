"""How much one principal, or one group of them, can say in a window: at most its cap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bartizan.alarms import Events
from bartizan.types import FloatArray


def cap_of(share: float, known: int) -> float:
    """Return the share of a window that one of ``known`` principals may supply.

    With fewer than ``1 / share`` of them nobody could fill the window: an equal part, then.

    >>> cap_of(0.005, 1000), cap_of(0.005, 10)
    (0.005, 0.1)
    """
    return max(share, 1.0 / known) if known else 1.0


def weights_of(events: Events, share: float) -> FloatArray:
    """Return each event's weight, 0 to 1, shape ``(n,)``.

    Whoever sent more than the cap is scaled down to it, and so is every group of principals, level
    by level. What is cut off is given to nobody else: shared out again, it would go to whoever has
    many small accounts, and raise *their* share.

    Args:
        events: The window.
        share: Largest share of its events that one principal, or one group, may supply.

    Guarantees:
        The weights of any principal, or group at any level, add up to at most
        ``cap_of(share, number of them) * n``.
    """
    n = len(events)
    weights = np.ones(n)
    for names in (events.principals, *events.groups.values()):
        if not names:
            continue
        known, codes = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
        held = np.bincount(codes, weights, len(known))
        cap = cap_of(share, len(known)) * n
        weights *= np.minimum(1.0, cap / np.maximum(held, 1e-300))[codes]
    return weights


def most_moved(
    eta: float,
    attackers: float,
    accounts: Mapping[str, int],
    known: Mapping[str, int],
    share: float,
) -> float:
    """Return how much of any bin's mass an attacker can move in one promotion.

    Args:
        eta: How much of a promoted baseline is the window.
        attackers: Share of the window's untrusted events that the attacker sends.
        accounts: How many principals, and groups of each level, the attacker has.
        known: How many there are altogether.
        share: The cap.

    Guarantees:
        For two windows that differ only in what the attacker's events hold, and for any set of
        bins of any stream, the masses that the promoted baselines give it differ by at most
        this. Over any number of promotions no set of bins lies further from the anchor than
        ``Limits.total``.

    >>> most_moved(0.25, 0.2, {"principal": 4}, {"principal": 1000}, 0.005)
    0.005
    """
    caps = [accounts[level] * cap_of(share, known[level]) for level in accounts]
    return eta * min(1.0, attackers, *caps)
