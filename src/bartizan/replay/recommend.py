"""One line of advice: promote, not yet, or refuse; with the numbers behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bartizan.replay.tally import CellCount, Summary
from bartizan.stats.intervals import clopper_pearson, poisson
from bartizan.types import Mode

TOLERANCE = 3.0
"""How many times the promised rate the alarms must be shown to stay below.

At the promised rate itself no amount of traffic shows that it is kept, only that it is not
exceeded by much. Three times needs about 1.2 / rate messages without an alarm.
"""

CONFIDENCE = 0.95


class Advice(StrEnum):
    """What to do with the candidate."""

    UNCHANGED = "no change"
    PROMOTE = "promote"
    NOT_YET = "not yet"
    REFUSE = "refuse"


EXIT_CODES = {Advice.UNCHANGED: 0, Advice.PROMOTE: 0, Advice.REFUSE: 1, Advice.NOT_YET: 2}


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do, and why.

    Attributes:
        advice: What to do.
        reason: Why, in one sentence with the numbers.
    """

    advice: Advice
    reason: str

    def __str__(self) -> str:
        return f"{self.advice.value}: {self.reason}"


def recommend(summary: Summary, mode: Mode) -> Recommendation:
    """Return the advice that the counts support.

    ``no change`` where every decision is told and is as before. Otherwise alarms are held against
    the certified rate: ``refuse`` where some cell's alarms, or what is
    stopped because it could not be judged, are more than promised, at 95% confidence over all
    cells and whatever the unknown decisions are. ``promote`` where the alarms of all cells
    together, every unknown decision counted as an alarm, are shown to be below
    :data:`TOLERANCE` times what is promised. ``not yet`` between the two.

    **Guarantees:** while benign exchanges are independent and keep the certified rate, and no
    attack is among them that was not named, ``refuse`` is said with probability at most 5%.
    """
    if not summary.replayed:
        return Recommendation(Advice.NOT_YET, "nothing was judged in what was replayed")
    over = _exceeded(summary)
    if not summary.kinds and not summary.unknown:
        said = f"all {summary.replayed:,} exchanges are decided as before"
        return Recommendation(Advice.UNCHANGED, said if over is None else f"{said}; but {over}")
    if over is not None:
        return Recommendation(Advice.REFUSE, over)
    short = _unshown(summary)
    if short is not None:
        return Recommendation(Advice.NOT_YET, short)
    hits, total, promised = _pooled(summary.cells)
    high = clopper_pearson(hits, total, CONFIDENCE)[1]
    what = "to enforce" if mode is Mode.ENFORCE else "in observe mode"
    said = (
        f"{what}: {hits:,} alarms in {total:,} judged messages, at most {high:.2%}; "
        f"promised at most {promised:.2%}"
    )
    changed = sum(count.hits for count in summary.kinds.values())
    return Recommendation(Advice.PROMOTE, f"{said}; read the {changed:,} changed decisions first")


def _exceeded(summary: Summary) -> str | None:
    """Say which promise is broken, if one is."""
    cells = [c for c in summary.cells if c.alarms.total and c.source != "none"]
    confidence = 1 - (1 - CONFIDENCE) / (len(cells) + 1)
    for cell in cells:
        hits, total = cell.alarms.hits, cell.alarms.total + cell.unknown
        # One-sided: only too many alarms break the promise.
        low = clopper_pearson(hits, total, 2 * confidence - 1)[0]
        if low > cell.certified:
            return (
                f"{hits:,} of {total:,} messages in {cell.cell} would be alarmed, at least {low:.2%}, where "
                f"{cell.certified:.2%} is promised: attacks (name them with --attacks), or traffic that is "
                "not like the calibration's"
            )
    disrupted, rate = summary.disrupted, max((c.certified for c in cells), default=0.0)
    low = clopper_pearson(disrupted.hits, summary.replayed, 2 * confidence - 1)[0]
    if low > rate:
        return (
            f"{disrupted.hits:,} of {summary.replayed:,} exchanges would be stopped because something could "
            f"not be judged, at least {low:.2%}; see on_fault and on_unjudged"
        )
    return None


def _unshown(summary: Summary) -> str | None:
    """Say what stands in the way of relying on the promise, if anything does."""
    for cell in summary.cells:
        if not cell.kept:
            held = "none" if cell.certified >= 1 else f"at most {cell.certified:.3%}"
            return (
                f"{cell.cell} asks for {cell.requested:.3%} false alarms, its calibration certifies {held}: "
                "calibrate on more benign messages"
            )
    hits, total, promised = _pooled(summary.cells)
    unknown = sum(c.unknown for c in summary.cells)
    if not total:
        return _untold(summary) if summary.unknown else "no message was scored"
    bound = TOLERANCE * promised
    high = clopper_pearson(hits + unknown, total + unknown, CONFIDENCE)[1]
    if high <= bound and not (summary.unknown and not unknown):
        return None
    if summary.unknown and clopper_pearson(hits, total, CONFIDENCE)[1] <= bound:
        return _untold(summary)
    more = max(1, math.ceil(poisson(hits, CONFIDENCE)[1] / bound) - total)
    return (
        f"{hits:,} alarms in {total:,} judged messages do not exclude {high:.2%}, where {promised:.2%} is "
        f"promised; at least {more:,} more messages are needed"
    )


def _untold(summary: Summary) -> str:
    return (
        f"{sum(summary.unknown.values()):,} of {summary.replayed:,} decisions can't be told from what the "
        "ledger kept; record with store.keep_content: true, or replay content as JSON lines"
    )


def _pooled(cells: tuple[CellCount, ...]) -> tuple[int, int, float]:
    """Return alarms, judged steps, and the promise for such a mixture of cells."""
    hits, total = sum(c.alarms.hits for c in cells), sum(c.alarms.total for c in cells)
    expected = sum(c.alarms.total * c.certified for c in cells)
    return hits, total, expected / total if total else 0.0
