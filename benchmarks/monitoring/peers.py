"""Every rival behind one adapter: ``update(x) -> bool``.

This module and :mod:`benchmarks.monitoring.worker` need numpy alone, so that they also run in the
virtual environments of peers that can't live beside each other (:mod:`benchmarks.monitoring.remote`).
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Settings = Mapping[str, float]

EVIDENTLY_WINDOW = 1000
ALIBI_REFERENCE = 500
ALIBI_WINDOWS = (20, 40, 80)


class System(ABC):
    """A stream detector: alarms and goes on."""

    @abstractmethod
    def update(self, x: float) -> bool:
        """Take one event and say whether it raises an alarm."""

    @abstractmethod
    def reset(self) -> None:
        """Go back to the state after set-up."""

    def update_block(self, xs: FloatArray) -> IntArray:
        """Take many events and return at which of them alarms were raised."""
        update = self.update
        return np.array([i for i, x in enumerate(xs.tolist()) if update(x)], dtype=np.int64)

    def first(self, xs: FloatArray) -> int | None:
        """Return the position of the first alarm, and take nothing after it."""
        update = self.update
        for i, x in enumerate(xs.tolist()):
            if update(x):
                return i
        return None


@dataclass(frozen=True, slots=True)
class Peer:
    """How to make a system, and how to tune it.

    Attributes:
        name: As in the tables.
        package: What has to be importable; empty for the baselines.
        make: Makes it from reference data and settings.
        nominal: What it says about false alarms at its defaults.
        knob: The setting that moves its false-alarm rate; empty where none does.
        span: Ends of the knob's useful range: most alarms first.
        default: The knob's default.
        rate: Events a second, roughly; sets how much of it can be measured.
    """

    name: str
    package: str
    make: Callable[[FloatArray, Settings], System]
    nominal: str
    knob: str = ""
    span: tuple[float, float] = (0.0, 0.0)
    default: float = 0.0
    rate: float = 1e6

    @property
    def slow(self) -> bool:
        return self.rate < 2e4


class _Loop(System):
    """A detector that is made anew to be reset."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self.reset()

    def reset(self) -> None:
        self.detector = self._make()


class River(_Loop):
    """``river.drift``; these reset themselves after an alarm."""

    def update(self, x: float) -> bool:
        self.detector.update(x)
        return self.detector.drift_detected

    def update_block(self, xs: FloatArray) -> IntArray:
        detector, alarms = self.detector, []
        for i, x in enumerate(xs.tolist()):
            detector.update(x)
            if detector.drift_detected:
                alarms.append(i)
        return np.array(alarms, dtype=np.int64)


class Frouros(_Loop):
    """``frouros.detectors.concept_drift``; reset after an alarm, as its examples do."""

    def update(self, x: float) -> bool:
        detector = self.detector
        detector.update(value=x)
        if detector.drift:
            detector.reset()
            return True
        return False


class Alibi(System):
    """``CVMDriftOnline``; its state is reset after an alarm, its thresholds stay."""

    def __init__(self, reference: FloatArray, settings: Settings) -> None:
        from alibi_detect.cd import CVMDriftOnline

        self._detector = CVMDriftOnline(
            reference[:ALIBI_REFERENCE, None],
            ert=settings.get("ert", 1000.0),
            window_sizes=list(ALIBI_WINDOWS),
            n_bootstraps=int(settings.get("n_bootstraps", 10_000)),
            verbose=False,
        )

    def reset(self) -> None:
        self._detector.reset_state()

    def update(self, x: float) -> bool:
        alarm = bool(self._detector.predict(np.array([x]), return_test_stat=False)["data"]["is_drift"])
        if alarm:
            self._detector.reset_state()
        return alarm


class Evidently(System):
    """The drift metric of the preset, over windows that follow each other.

    Without a threshold it is evidently's own choice of test: Kolmogorov-Smirnov at .05 up to 1000
    reference rows, the normed Wasserstein distance at .1 above.
    """

    def __init__(self, reference: FloatArray, settings: Settings, rows: int) -> None:
        import pandas
        from evidently import Report
        from evidently.metrics import ValueDrift

        self._frame = pandas.DataFrame
        self._reference = self._frame({"x": reference[:rows]})
        threshold = settings.get("threshold")
        self._report = Report([ValueDrift(column="x", threshold=threshold)])
        self._window: list[float] = []

    def reset(self) -> None:
        self._window = []

    def update(self, x: float) -> bool:
        self._window.append(x)
        if len(self._window) < EVIDENTLY_WINDOW:
            return False
        current, self._window = self._frame({"x": self._window}), []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (metric,) = self._report.run(current, self._reference).dict()["metrics"]
        value, threshold = float(metric["value"]), float(metric["config"]["threshold"])
        is_p_value = "p_value" in metric["config"]["method"]
        return value < threshold if is_p_value else value >= threshold


class Always(System):
    """Alarms at every event."""

    def update(self, x: float) -> bool:
        return True

    def reset(self) -> None:
        pass


class Random(System):
    """Alarms with a fixed probability, whatever the event."""

    def __init__(self, rate: float) -> None:
        self._rate, self._rng = rate, np.random.default_rng(7)

    def update(self, x: float) -> bool:
        return bool(self._rng.random() < self._rate)

    def update_block(self, xs: FloatArray) -> IntArray:
        return np.flatnonzero(self._rng.random(len(xs)) < self._rate)

    def first(self, xs: FloatArray) -> int | None:
        alarms = self.update_block(xs)
        return int(alarms[0]) if len(alarms) else None

    def reset(self) -> None:
        pass


def _adwin(reference: FloatArray, settings: Settings) -> System:
    from river.drift import ADWIN

    return River(lambda: ADWIN(**settings))


def _river_page_hinkley(reference: FloatArray, settings: Settings) -> System:
    from river.drift import PageHinkley

    return River(lambda: PageHinkley(**settings))


def _kswin(reference: FloatArray, settings: Settings) -> System:
    from river.drift import KSWIN

    return River(lambda: KSWIN(**settings, seed=1))


def _frouros_page_hinkley(reference: FloatArray, settings: Settings) -> System:
    from frouros.detectors.concept_drift import PageHinkley, PageHinkleyConfig

    return Frouros(lambda: PageHinkley(config=PageHinkleyConfig(**settings)))


def _frouros_cusum(reference: FloatArray, settings: Settings) -> System:
    from frouros.detectors.concept_drift import CUSUM, CUSUMConfig

    return Frouros(lambda: CUSUM(config=CUSUMConfig(**settings)))


PEERS: tuple[Peer, ...] = (
    Peer("river ADWIN", "river", _adwin, "delta .002", "delta", (0.999, 1e-6), 0.002, 3e6),
    Peer("river PageHinkley", "river", _river_page_hinkley, "none", "threshold", (5.0, 1000.0), 50.0, 8e5),
    Peer("river KSWIN", "river", _kswin, "alpha .005", "alpha", (0.05, 1e-6), 0.005, 4e3),
    Peer(
        "frouros PageHinkley", "frouros", _frouros_page_hinkley, "none", "lambda_", (5.0, 1000.0), 50.0, 2e5
    ),
    Peer("frouros CUSUM", "frouros", _frouros_cusum, "none", "lambda_", (5.0, 1000.0), 50.0, 2e5),
    Peer(
        "evidently, 1000 reference rows",
        "evidently",
        lambda reference, settings: Evidently(reference, settings, 1000),
        "K-S .05 a window",
        "threshold",
        (0.5, 1e-9),
        0.05,
        1e4,
    ),
    Peer(
        "evidently, 5000 reference rows",
        "evidently",
        lambda reference, settings: Evidently(reference, settings, 5000),
        "none (distance .1)",
        rate=1e4,
    ),
    Peer("alibi CVMDriftOnline", "alibi_detect", Alibi, "1000 (ERT 1000)", "ert", (100.0, 1e6), 1000.0, 4e3),
    Peer("always", "", lambda reference, settings: Always(), "1000000"),
    Peer(
        "random",
        "",
        lambda reference, settings: Random(settings.get("rate", 1e-3)),
        "its rate",
        "rate",
        (1.0, 0.0),
        1e-3,
    ),
)


def peer(name: str) -> Peer:
    """Return a peer by its name."""
    return next(p for p in PEERS if p.name == name)
