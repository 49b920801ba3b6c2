"""The streams: real columns to resample, real series in time order, simulated nulls, changes.

Nothing is downloaded: the real data ship inside scikit-learn, statsmodels, arch and vega_datasets;
what belongs to a package that is not installed is left out and named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Sampler = Callable[[np.random.Generator, int], FloatArray]

SPIKE = 6.0
"""Where the 1% of spikes lie, in standard deviations."""

BURN_IN = 1000
"""Events after which a simulated AR or GARCH series has forgotten its start."""


@dataclass(frozen=True, slots=True)
class Column:
    """A real column: its empirical law is the population that calibration and stream are drawn from.

    Attributes:
        name: Data set and column.
        values: The column, shape ``(n,)``.
    """

    name: str
    values: FloatArray

    @property
    def distinct(self) -> int:
        return len(np.unique(self.values))

    def draw(self, rng: np.random.Generator, n: int) -> FloatArray:
        return self.values[rng.integers(0, len(self.values), n)]


@cache
def columns() -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the real columns at hand, and the packages that are missing."""
    found: list[Column] = []
    absent: list[str] = []
    for package, load in (
        ("scikit-learn", _sklearn),
        ("statsmodels", _statsmodels),
        ("arch", _arch),
        ("vega_datasets", _vega),
    ):
        try:
            found += [Column(name, _clean(values)) for name, values in load()]
        except ImportError:
            absent.append(package)
    return tuple(found), tuple(absent)


@cache
def series() -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return real series in time order, and the packages that are missing."""
    found: list[Column] = []
    absent: list[str] = []
    for package, load in (
        ("statsmodels", _statsmodels_series),
        ("arch", _arch_series),
        ("vega_datasets", _vega),
    ):
        try:
            found += [Column(name, _clean(values)) for name, values in load()]
        except ImportError:
            absent.append(package)
    return tuple(found), tuple(absent)


def _clean(values: object) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _sklearn() -> Iterator[tuple[str, object]]:
    from sklearn import datasets

    digits, cancer, wine = datasets.load_digits(), datasets.load_breast_cancer(), datasets.load_wine()
    for pixel in (2, 20, 28, 35, 43, 61):
        yield f"digits pixel {pixel}", digits.data[:, pixel]
    for column in (0, 3, 16):
        yield f"breast cancer {cancer.feature_names[column]}", cancer.data[:, column]
    for column in (0, 4, 12):
        yield f"wine {wine.feature_names[column]}", wine.data[:, column]


def _statsmodels() -> Iterator[tuple[str, object]]:
    from statsmodels.datasets import fair, randhie

    visits, marriages = randhie.load_pandas().data, fair.load_pandas().data
    for column in ("mdvis", "lncoins", "lpi", "disea"):
        yield f"randhie {column}", visits[column]
    for column in ("affairs", "educ"):
        yield f"fair {column}", marriages[column]


def _arch() -> Iterator[tuple[str, object]]:
    yield from list(_arch_series())[:1]


def _vega() -> Iterator[tuple[str, object]]:
    from vega_datasets import data

    yield "San Francisco temperature, hourly", data.sf_temps()["temp"]


def _statsmodels_series() -> Iterator[tuple[str, object]]:
    from statsmodels.datasets import co2

    yield "CO2 at Mauna Loa, weekly steps", co2.load_pandas().data["co2"].dropna().diff()


def _arch_series() -> Iterator[tuple[str, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from arch.data import nasdaq, sp500, wti

        prices = (
            ("S&P 500", sp500.load()["Adj Close"]),
            ("NASDAQ", nasdaq.load()["Adj Close"]),
            ("WTI oil", wti.load().iloc[:, 0].dropna()),
        )
        for name, price in prices:
            yield f"{name}, daily log returns", np.diff(np.log(np.asarray(price, dtype=np.float64)))


def normal(rng: np.random.Generator, n: int) -> FloatArray:
    return rng.standard_normal(n)


def autoregressive(phi: float) -> Sampler:
    """Return a Gaussian AR(1) with unit variance."""

    def sample(rng: np.random.Generator, n: int) -> FloatArray:
        from scipy.signal import lfilter

        noise = rng.standard_normal(n + BURN_IN) * np.sqrt(1 - phi * phi)
        return np.asarray(lfilter([1.0], [1.0, -phi], noise)[BURN_IN:])

    return sample


def garch(shock: float = 0.1, memory: float = 0.85) -> Sampler:
    """Return a GARCH(1, 1) of unit variance: uncorrelated, with bursts of volatility, as in prices."""

    def sample(rng: np.random.Generator, n: int) -> FloatArray:
        noise = rng.standard_normal(n + BURN_IN).tolist()
        made, variance = np.empty(n + BURN_IN), 1.0
        for i, z in enumerate(noise):
            x = z * variance**0.5
            made[i] = x
            variance = 1.0 - shock - memory + shock * x * x + memory * variance
        return made[BURN_IN:]

    return sample


def echo(rng: np.random.Generator, n: int) -> FloatArray:
    """Return a series that is correlated at lag 7 and at no other."""
    noise = rng.standard_normal(n + 7)
    return (noise[7:] + noise[:-7]) / np.sqrt(2.0)


def in_turn(clients: int, phi: float) -> Sampler:
    """Return the events of clients that ask in turn, each an AR(1) of its own."""
    own = autoregressive(phi)

    def sample(rng: np.random.Generator, n: int) -> FloatArray:
        return np.stack([own(rng, n // clients + 1) for _ in range(clients)], axis=1).reshape(-1)[:n]

    return sample


def daily(rng: np.random.Generator, n: int) -> FloatArray:
    """Return independent noise on a cycle of 1,440 events."""
    return rng.standard_normal(n) + 0.3 * np.sin(np.arange(n) * (2 * np.pi / 1440))


def bursts(rng: np.random.Generator, n: int) -> FloatArray:
    """Return events of clients that now and then repeat themselves 30 times."""
    lengths = np.where(rng.random(n) < 0.002, 30, 1)
    return np.repeat(rng.standard_normal(n), lengths)[:n]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of stream before its change.

    Attributes:
        name: ``numeric``, ``categorical`` or ``errors``.
        before: Draws events before the change.
        categorical: Whether values are codes.
    """

    name: str
    before: Sampler
    categorical: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to a stream.

    Attributes:
        name: As in the tables.
        kind: The stream before.
        after: Draws events after the change.
    """

    name: str
    kind: Kind
    after: Sampler


def changes() -> tuple[Change, ...]:
    """Return every abrupt change; ramps are made by :func:`ramp`."""
    numeric = Kind("numeric", normal)
    made = [
        Change(f"mean {shift}σ", numeric, lambda rng, n, s=shift: rng.standard_normal(n) + s)
        for shift in (0.25, 0.5, 1.0)
    ]
    made.append(Change("scale ×1.5", numeric, lambda rng, n: 1.5 * rng.standard_normal(n)))
    made.append(Change("1% spikes 6σ", numeric, _spikes))
    return (*made, _categorical_shift(), _label_flip())


def ramp(rng: np.random.Generator, length: int) -> FloatArray:
    """Return a stream whose mean rises from 0 to 2 standard deviations."""
    return rng.standard_normal(length) + np.linspace(0.0, 2.0, length)


def _spikes(rng: np.random.Generator, n: int) -> FloatArray:
    return np.where(rng.random(n) < 0.01, SPIKE, rng.standard_normal(n))


def _categorical_shift() -> Change:
    """A tenth of the events move to one category, neither the commonest nor at an end of the codes."""
    codes = _occupations()
    shares = np.bincount(codes) / len(codes)
    moved = 0.9 * shares
    moved[1] += 0.1

    def sampler(p: FloatArray) -> Sampler:
        return lambda rng, n: rng.choice(len(p), size=n, p=p).astype(np.float64)

    return Change("10% to a category", Kind("categorical", sampler(shares), categorical=True), sampler(moved))


@cache
def _occupations() -> npt.NDArray[np.int64]:
    """Real shares of six categories; fixed ones where statsmodels is absent."""
    try:
        from statsmodels.datasets import fair

        return np.asarray(fair.load_pandas().data["occupation"], dtype=np.int64) - 1
    except ImportError:
        return np.repeat(np.arange(6), (41, 859, 2783, 1834, 740, 109))


def _label_flip() -> Change:
    """A model's errors on labelled events; then the labels of a tenth of the inputs turn round.

    The law of the inputs stays: only who knows the labels can see it. The tenth is one region of
    the inputs, so it is the conditional law that changes.
    """
    before, after = _errors()

    def sampler(errors: FloatArray) -> Sampler:
        return lambda rng, n: errors[rng.integers(0, len(errors), n)]

    return Change("labels flip for 10%", Kind("errors", sampler(before), categorical=True), sampler(after))


@cache
def _errors() -> tuple[FloatArray, FloatArray]:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    data = load_digits()
    half = len(data.target) // 2
    model = LogisticRegression(C=0.1, max_iter=2000).fit(data.data[:half] / 16.0, data.target[:half])
    inputs, labels = data.data[half:], data.target[half:]
    guess = model.predict(inputs / 16.0)
    ink = inputs.sum(axis=1)
    flipped = np.where(ink >= np.quantile(ink, 0.9), (labels + 1) % 10, labels)
    return (guess != labels).astype(np.float64), (guess != flipped).astype(np.float64)
