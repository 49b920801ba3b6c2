"""A sequence classifier of the operator's choice, such as Prompt Guard 2 or PIGuard."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
import numpy as np

from bartizan.errors import ConfigError
from bartizan.features.classifier_folder import attack_index, opened_folder
from bartizan.features.classifier_model import Model, model_of
from bartizan.features.text import LIMIT, CanonicalText, canonical, encodable
from bartizan.features.traced import Traced
from bartizan.ports import Features, Unavailable
from bartizan.types import DetectorSpec, Evidence, FloatArray, Origin, Part, PartKind, Scores, Step

WINDOW: Final = 510
STRIDE: Final = 382
MAX_WINDOWS: Final = 128
"""Windows read of one part, all its texts together, unless the operator says otherwise."""
MOST_WINDOWS: Final = 4_096
SMALLEST_WINDOW: Final = 8
FRAME: Final = 2
"""Pieces that usually frame a window."""

SPEC: Final = DetectorSpec(
    name="text.classifier",
    version="1",
    steps=frozenset({Step.REQUEST}),
    kinds=frozenset({PartKind.TEXT, PartKind.TOOL_RESULT, PartKind.TOOL_DEFINITION}),
    origins=frozenset({Origin.USER, Origin.TOOL, Origin.WEB}),
    learned=True,
    by_origin=True,
    by_choice=True,
    limit_chars=LIMIT,
    needs_options=("path",),
    taxonomy=("OWASP LLM01:2026", "AML.T0051.000", "AML.T0051.001", "AML.T0054"),
)


class Reading(msgspec.Struct, frozen=True):
    """The strongest window of a part: its margin, its place in the part, the envelope it stood in."""

    margin: float
    span: tuple[int, int]
    view: str = ""


class Classifier:
    """Reads a part with a classifier from a local folder, window by window.

    Three kinds of text are read: what was written; where more than its case was changed, the same
    with its disguises undone; what its envelopes say. The score is the highest margin of the attack
    class in any window, calibrated apart for what users type and for data.

    Args:
        path: Folder with ``config.json``, ``tokenizer.json`` and ``model.onnx`` or safetensors.
            Nothing is fetched, no code of the folder is run, pickled weights are refused.
        label: Name or index of the attack class; default: found by the usual names.
        window: Word pieces read at once, besides those that frame them.
        stride: Word pieces from one window's start to the next.
        max_windows: A part with more is not judged, which is a fault.

    Raises:
        ConfigError: The folder or an option can't be used.

    Guarantees:
        Same text and origin, same score, on the same processor; the folder's digest and the options
        are part of the version, so a calibration made with other weights is not used.
    """

    spec: DetectorSpec = SPEC

    def __init__(
        self,
        path: str | None = None,
        label: str | int | None = None,
        window: int = WINDOW,
        stride: int = STRIDE,
        max_windows: int = MAX_WINDOWS,
    ) -> None:
        self._folder = opened_folder(path) if path is not None else None
        self._window, self._stride, self._most = window, stride, max_windows
        self._model: Model | str | None = None
        self._attack = 0
        if self._folder is None:
            return
        _check("window", window, SMALLEST_WINDOW, self._folder.positions - FRAME)
        _check("stride", stride, 1, window)
        _check("max_windows", max_windows, 1, MOST_WINDOWS)
        self._attack = attack_index(self._folder.labels, label)
        settings = f"{self._folder.digest} {self._attack} {window} {stride} {max_windows}"
        self.spec = msgspec.structs.replace(SPEC, version=f"{SPEC.version}-{_short(settings)}")

    def prepare(self) -> None:
        """Load the classifier.

        Raises:
            Unavailable: It can't be loaded, or no folder was given.
        """
        self._loaded()

    def score(self, part: Part, features: Features) -> Scores:
        """Return the margin of the strongest window.

        Raises:
            Unavailable: The classifier can't be loaded, or the part has too many windows.
        """
        return Scores((features.of_part(self._read, part).margin,))

    def evidence(self, part: Part, features: Features, unit: int) -> Evidence:
        """Point at the strongest window, or at the envelope it stood in."""
        best = features.of_part(self._read, part)
        label = self._folder.labels[self._attack] if self._folder is not None else ""
        what = f"Text inside {best.view}" if best.view else "A passage"
        spans = (best.span,) if best.span[0] < best.span[1] else ()
        return Evidence(f"{what} is {label!r} to the configured classifier.", spans)

    def _read(self, part: Part) -> Reading:
        model = self._loaded()
        left = self._most
        best: Reading | None = None
        for traced, view, place in _texts(part.text, canonical(part)):
            windows = model.windows(traced.text, self._window, self._stride, left)
            left -= len(windows)
            for window in windows:
                reached = margin(model.logits(window), self._attack)
                if best is None or reached > best.margin:
                    span = place if view else traced.source_span(window.start, window.end)
                    best = Reading(reached, span, view)
        if best is None:
            raise Unavailable("nothing was read")
        return best

    def _loaded(self) -> Model:
        if self._model is None:
            try:
                self._model = self._load()
            except Unavailable as error:
                self._model = str(error)  # loading costs seconds: it is tried once
        if isinstance(self._model, str):
            raise Unavailable(self._model)
        return self._model

    def _load(self) -> Model:
        if self._folder is None:
            raise Unavailable("no classifier: options.text.classifier.path is not set")
        model = model_of(self._folder)
        if self._window + model.frame > self._folder.positions:
            raise Unavailable(f"windows of {self._window} and {model.frame} that frame them are too long")
        return model


def _check(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ConfigError(
            f"text.classifier: {name} {value!r} is no whole number from {low} to {high}",
            hint=f"set options.text.classifier.{name}",
        )


def margin(logits: FloatArray, attack: int) -> float:
    """Return the log odds of one class against all others; the logit itself where it is alone."""
    others = np.delete(logits, attack)
    return float(logits[attack] - np.logaddexp.reduce(others)) if len(others) else float(logits[attack])


def _texts(text: str, read: CanonicalText) -> list[tuple[Traced, str, tuple[int, int]]]:
    """Return the texts to read, each with the name and place of its envelope, if any.

    Classifiers are trained on text as people write it, so case and accents are left alone; the
    canonical text is read too wherever it says something else, and alone where the part is sampled.
    """
    texts = []
    if len(text) <= LIMIT:
        texts.append((Traced(encodable(text), None, len(text)), "", (0, 0)))
    if len(text) > LIMIT or read.body.text != text.lower():
        texts.append((read.body, "", (0, 0)))
    texts += ((Traced(view.text, None, len(view.text)), view.name, view.span) for view in read.views)
    return texts


def _short(settings: str) -> str:
    return hashlib.sha256(settings.encode()).hexdigest()[:16]
