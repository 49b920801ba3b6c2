"""Calibration tables: benign scores of every detector, and of whole interactions.

An interaction is ranked in two stages, so that one number, the false-alarm rate, covers all
detectors together:

1. each detector's score becomes a *surprise*, ``-ln`` of its rank among benign scores of
   that detector, continued beyond the largest benign score by an exponential tail;
2. the interaction's statistic is its largest surprise, less ``ln`` of the number of units
   (text parts or rows) that were scored; it is ranked among the statistics of benign
   interactions that stage 1 never saw.

Guarantees:
    Stage 2 is split conformal prediction whatever stage 1 computed, so
    ``P(p <= a) <= a`` on benign interactions that are exchangeable with those of stage 2.

References:
    "Re-conformalised min-p": ``docs/concepts/calibration.md`` and
    ``docs/decisions/0002-one-statistic-per-interaction.md``.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bartizan.errors import CalibrationError
from bartizan.stats.conformal import Ranking, certifiable_rate, certified_rank
from bartizan.types import FloatArray, Measured

FORMAT = 1
_TAIL_SHARE = 0.01
_MIN_TAIL = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """Benign scores of one detector and how its scores grow beyond them.

    Attributes:
        ranking: The scores.
        tail: Score beyond the largest benign one that is worth one natural-log unit.
    """

    ranking: Ranking
    tail: float

    @classmethod
    def of(cls, scores: FloatArray, unit: float) -> Reference:
        """Build from benign scores.

        Args:
            scores: Benign scores of one detector.
            unit: The detector's ``spec.unit``. A tail shorter than that is no guide: most
                detectors score nearly all benign content 0, and one stray benign score must
                not be so surprising that it sets the level for every other detector.
        """
        top = np.sort(scores)[-max(_MIN_TAIL, int(scores.size * _TAIL_SHARE)) :]
        excess = float(np.mean(top - top[0])) if top.size else 0.0
        return cls(Ranking.of(scores), max(excess, unit))

    def surprise(self, score: float) -> float:
        """Return how strange a score is, in natural-log units; non-decreasing, 0 or more."""
        knots, at_least, n = self.ranking.knots, self.ranking.at_least, self.ranking.n
        if not knots:
            return max(0.0, score / self.tail)
        i = bisect_right(knots, score) - 1
        if i < 0:
            return 0.0
        here = math.log((n + 1) / (1 + at_least[i]))
        if i + 1 == len(knots):
            # Beyond every benign score: within one tail length up to what a score that none
            # of them reached is worth, and on from there.
            beyond = (score - knots[i]) / self.tail
            return here + (math.log(n + 1) - here) * min(1.0, beyond) + beyond
        there = math.log((n + 1) / (1 + at_least[i + 1]))
        return here + (there - here) * (score - knots[i]) / (knots[i + 1] - knots[i])


@dataclass(frozen=True, slots=True)
class Level:
    """The alarm rule in force for one cell.

    Attributes:
        requested: The rate the operator asked for.
        rate: The certified rate in force: the requested one, or the smallest that the
            calibration can certify.
        threshold: Alarm if ``p <= threshold``; 0 means no alarm is possible.
    """

    requested: float
    rate: float
    threshold: float

    @property
    def kept(self) -> bool:
        """Whether the requested rate is certified."""
        return self.rate <= self.requested


@dataclass(frozen=True, slots=True)
class Cell:
    """The calibration of one kind of message: cells know nothing of each other.

    Attributes:
        references: Stage 1, per score key.
        statistics: Stage 2, the ranked statistics of whole interactions.
        source: ``generic``, ``operator`` or ``live``.
    """

    references: Mapping[str, Reference]
    statistics: Ranking
    source: str

    def statistic(self, measured: Measured) -> float:
        """Return stage 1's statistic for an interaction; larger is stranger.

        Scores without a reference are left out; the pipeline reports them as faults.
        """
        known = self.references
        top = max((known[k].surprise(s) for k, s in measured.maxima.items() if k in known), default=0.0)
        return top - math.log(max(1, measured.units))


class Selection(msgspec.Struct, frozen=True):
    """Which detectors are on, chosen by what they found of synthetic attacks.

    Attributes:
        on: What is on, in the order in which it was chosen.
        off: What was measured and did not help.
        level: The certified false-alarm rate at which power was measured.
        rows: Benign rows behind the measurement; none of them ranks interactions.
        power: Per attack, the share found by each detector alone.
        together: Per attack, the share found by those that are on, together.
        usual: Per attack, the share found by those that are on where nothing was measured.
    """

    on: tuple[str, ...]
    off: tuple[str, ...]
    level: float
    rows: int
    power: dict[str, dict[str, float]]
    together: dict[str, float]
    usual: dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """A named calibration.

    Attributes:
        name: What it was made from, for people.
        created: Seconds since the epoch.
        cells: Per kind of message; see :mod:`bartizan.calibration.cells`.
        fitted: Per detector, the state of detectors that learn from reference rows.
        versions: Detector versions that the scores came from.
        trimmed: Share of the strangest points left out against poisoning; it is paid for
            out of the rate (:meth:`level`).
        digest: Hex SHA-256 of the encoded table.
        selection: Which detectors are on, if that was measured.
    """

    name: str
    created: float
    cells: Mapping[str, Cell]
    fitted: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    trimmed: float = 0.0
    digest: str = ""
    selection: Selection | None = None

    def calibrated(self) -> frozenset[str]:
        """Return the names of the detectors that have a reference in some cell."""
        return frozenset(k.partition("@")[0] for c in self.cells.values() for k in c.references)

    def given_by_operator(self) -> bool:
        """Return whether any cell was calibrated on data that the operator gave."""
        return any(c.source == "operator" for c in self.cells.values())

    def level(self, cell: str, rate: float) -> Level:
        """Return the alarm rule for a requested false-alarm rate.

        Trimming a share ``t`` of the points can raise the realised rate by at most ``t``,
        so the rule is certified at ``rate - t``.
        """
        known = self.cells.get(cell)
        if known is None or known.statistics.n == 0:
            return Level(rate, 1.0, 0.0)
        ranking = known.statistics
        smallest = certifiable_rate(ranking.n) + self.trimmed
        # A hair above the bound, where rounding would otherwise certify nothing.
        in_force = max(rate, min(1.0, smallest * (1 + 1e-9)))
        k = certified_rank(ranking.n, in_force - self.trimmed) if in_force < 1 else 0
        return Level(rate, in_force, k / (ranking.n + 1))


class RankingData(msgspec.Struct, array_like=True):
    """A ranking as it is written, and the tail that goes with it."""

    knots: bytes
    at_least: bytes
    above: bytes
    n: int
    tail: float


class _CellData(msgspec.Struct, array_like=True):
    references: dict[str, RankingData]
    statistics: RankingData
    source: str


class _TableData(msgspec.Struct, omit_defaults=True):
    format: int
    name: str
    created: float
    cells: dict[str, _CellData]
    fitted: dict[str, dict[str, tuple[list[int], bytes]]]
    versions: dict[str, str]
    trimmed: float
    # Left out where there is none, so that older tables keep their bytes and their digests.
    selection: Selection | None = None


def encode(table: Table) -> bytes:
    """Return a table as bytes; the same table always gives the same bytes."""
    return msgspec.msgpack.Encoder(order="deterministic").encode(
        _TableData(
            FORMAT,
            table.name,
            table.created,
            {
                name: _CellData(
                    {k: pack_ranking(r.ranking, r.tail) for k, r in cell.references.items()},
                    pack_ranking(cell.statistics, 0.0),
                    cell.source,
                )
                for name, cell in table.cells.items()
            },
            {
                d: {k: (list(a.shape), np.ascontiguousarray(a, "<f8").tobytes()) for k, a in state.items()}
                for d, state in table.fitted.items()
            },
            dict(table.versions),
            table.trimmed,
            table.selection,
        )
    )


def decode(data: bytes) -> Table:
    """Read a table back; its digest is the SHA-256 of the bytes.

    Raises:
        CalibrationError: The bytes are no calibration table of this format.
    """
    try:
        raw = msgspec.msgpack.decode(data, type=_TableData)
        if raw.format != FORMAT:
            raise CalibrationError(
                f"calibration format {raw.format} is not {FORMAT}", hint="calibrate again with this version"
            )
        return Table(
            name=raw.name,
            created=raw.created,
            cells={
                name: Cell(
                    {k: Reference(unpack_ranking(r), r.tail) for k, r in c.references.items()},
                    unpack_ranking(c.statistics),
                    c.source,
                )
                for name, c in raw.cells.items()
            },
            fitted={
                d: {k: np.frombuffer(b, "<f8").reshape(shape) for k, (shape, b) in state.items()}
                for d, state in raw.fitted.items()
            },
            versions=raw.versions,
            trimmed=raw.trimmed,
            digest=hashlib.sha256(data).hexdigest(),
            selection=raw.selection,
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise CalibrationError(
            f"not a calibration table: {error}", hint="make one with `bartizan calibrate`"
        ) from error


def pack_ranking(ranking: Ranking, tail: float = 0.0) -> RankingData:
    """Return a ranking as it is written."""
    return RankingData(
        np.asarray(ranking.knots, "<f8").tobytes(),
        np.asarray(ranking.at_least, "<i8").tobytes(),
        np.asarray(ranking.above, "<i8").tobytes(),
        ranking.n,
        tail,
    )


def unpack_ranking(data: RankingData) -> Ranking:
    """Read a ranking back.

    Raises:
        ValueError: Its columns don't fit together.
    """
    knots, at_least, above = (
        tuple(np.frombuffer(b, d).tolist())
        for b, d in ((data.knots, "<f8"), (data.at_least, "<i8"), (data.above, "<i8"))
    )
    if not len(knots) == len(at_least) == len(above):
        raise ValueError("ranking columns of different length")
    return Ranking(knots, at_least, above, data.n)
