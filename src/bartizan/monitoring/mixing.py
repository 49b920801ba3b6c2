"""Mixes a window into a baseline, bin by bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bartizan.errors import CalibrationError
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.confirmation import known_events
from bartizan.monitoring.stored import sealed
from bartizan.monitoring.streams import IntArray, Stream
from bartizan.stats.bets import categorical_bets, numeric_bets
from bartizan.stats.bins import Cuts
from bartizan.stats.mixtures import box_of_shares, effective_events, mixed_events
from bartizan.types import FloatArray


def mixed(
    anchor: Baseline,
    current: Baseline,
    bins: IntArray,
    weights: FloatArray,
    eta: float,
    epoch: int,
    now: float,
) -> Baseline:
    """Return ``(1 - eta) * current + eta * window``, on the anchor's bins.

    Args:
        anchor: The anchor; says how much confidence there is to spend.
        current: The baseline in force.
        bins: Of the window's untrusted events, shape ``(n, F)``.
        weights: What each event may say, 0 to 1, shape ``(n,)``. Mass that is cut off, and that
            of events which say nothing about a stream, stays where the baseline in force has it.
        eta: How much of the new baseline is the window.
        epoch: Number of this promotion since the anchor, from 1.
        now: Seconds since the epoch.
    """
    # The confidence of the boxes is spent again at every promotion: 1/2 + 1/6 + 1/12 + ... = 1.
    delta = anchor.settings.delta / (epoch * (epoch + 1)) / len(current.streams)
    streams, sizes = [], []
    for f, stream in enumerate(current.streams):
        mine = bins[:, f] >= 0
        k = len(stream.share)
        mass = np.bincount(bins[mine, f], weights[mine], k) / len(bins)
        share = (1 - eta * mass.sum()) * stream.share + eta * mass
        share /= share.sum()
        events = max(effective_events(weights[mine]) / current.every, 1.0)
        size = mixed_events(known_events(current, stream), events, eta * float(mass.sum()))
        streams.append(_stream(stream, share, size, delta))
        sizes.append(size)
    words = f"{anchor.name}, promoted {epoch} times"
    why = "it follows the data that it judges: only the anchor's rate is promised"
    return sealed(
        replace(
            current,
            name=words,
            created=now,
            events=int(min(sizes)),
            streams=tuple(streams),
            refused=why,
            epoch=epoch,
            digest="",
        )
    )


def _stream(stream: Stream, share: FloatArray, events: float, delta: float) -> Stream:
    """Return a stream with another law over the same bins."""
    box = box_of_shares(share, events, delta)
    if stream.cuts is None:
        return replace(stream, share=share, bets=categorical_bets(box, stream.categories))
    # The edges are the anchor's for ever, so that distances stay comparable; the gaps say how
    # many events stand behind the shares.
    gaps = np.maximum(1, np.rint(share * (events + 1))).astype(np.int64)
    cuts = Cuts(stream.cuts.edges, stream.cuts.breaks, gaps)
    return replace(stream, share=share, cuts=cuts, bets=numeric_bets(box))


def together(anchor: Baseline, current: Baseline) -> None:
    """See that a baseline descends from an anchor.

    Raises:
        CalibrationError: It doesn't.
    """
    pairs = zip(anchor.streams, current.streams, strict=False)
    same = len(anchor.streams) == len(current.streams) and all(
        a.name == c.name
        and a.categories == c.categories
        and (a.cuts is None) == (c.cuts is None)
        and (a.cuts is None or c.cuts is None or np.array_equal(a.cuts.edges, c.cuts.edges))
        for a, c in pairs
    )
    if not same or anchor.epoch:
        raise CalibrationError(
            "the baseline in force does not descend from this anchor", hint="start again from the anchor"
        )
