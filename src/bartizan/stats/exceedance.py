"""Bets that values exceed limits more often than they did: one-sided, so that less is never an alarm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bartizan.stats.bets import BETS, Bets

FloatArray = npt.NDArray[np.float64]

SHARES = (0.02, 0.1, 0.4, 0.9)
"""Shares of exceeding values that are bet on, beside today's."""

MAX_LIMITS = BETS // len(SHARES)

_NEVER = 1e-300


def exceedance_bets(rates: FloatArray) -> Bets:
    """Return bets that values exceed some limit more often than ``rates`` allow.

    A value's bin is the number of limits that it exceeds, 0 to ``L``. The bet of share ``s`` on
    limit ``l`` pays ``1 - s + s / rates[l]`` for a value beyond it and ``1 - s`` otherwise.

    Args:
        rates: Most that each limit is exceeded while nothing has changed, shape ``(L,)`` with
            ``1 <= L <= MAX_LIMITS``, in ``(0, 1]``; limits ascend, so rates do not.

    Guarantees:
        Every bet has mean at most 1 whenever each limit is exceeded, given the past, with
        probability at most its rate; so also by any mixture of such laws, and by any law that
        is stochastically smaller. Payoffs do not fall with the bin.

    References:
        Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting",
        arXiv 2010.09686, for bets on one side.

    >>> bets = exceedance_bets(np.array([0.1, 0.01]))
    >>> law = np.array([0.9, 0.09, 0.01])
    >>> bool((law @ np.exp(bets.log) <= 1 + 1e-12).all())
    True
    >>> round(float(np.exp(bets.log).max()), 2)
    90.1
    """
    count = len(rates)
    if not 1 <= count <= MAX_LIMITS or not ((rates > 0) & (rates <= 1)).all():
        raise ValueError(f"from 1 to {MAX_LIMITS} rates above 0 and up to 1 are needed")
    bins = np.arange(count + 1)
    log = np.full((count + 1, BETS), np.log(_NEVER))
    column = 0
    for limit, rate in enumerate(rates.tolist()):
        for share in SHARES:
            log[:, column] = np.log(1.0 - share + share * (bins > limit) / rate)
            column += 1
    weights = np.zeros(BETS)
    weights[:column] = 1.0 / column
    return Bets(log, weights, ("more extreme",) * column + ("",) * (BETS - column))
