"""Enrols a system's model while it is calibrated: its fingerprint goes where the gateway finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bartizan.cli.outputs import Endpoint
from bartizan.clock import WALL_CLOCK
from bartizan.config import System
from bartizan.monitoring.enrolment import enrol
from bartizan.monitoring.fingerprint import Fingerprint
from bartizan.monitoring.fingerprint_file import fingerprint_path, save_fingerprint
from bartizan.settings import FingerprintConfig
from bartizan.types import FloatArray


def enrol_model(system: System, settings: FingerprintConfig, store: Path, rows: FloatArray) -> None:
    """Take the fingerprint of a system's model, and say so on standard error.

    Args:
        system: A predictive system.
        settings: Of its fingerprint.
        store: The data directory.
        rows: Benign rows, shape ``(n, d)``.

    Raises:
        CalibrationError: The model can't be asked, or the rows are no good.
    """
    with Endpoint(system.upstream, settings.model, settings.version) as endpoint:
        embedding = system.embedding_output
        scores = endpoint.ask(rows[:1], embedding).scores
        # Not the seed of the split: canaries that can be made again are known.
        made: Fingerprint = enrol(
            rows,
            lambda batch: endpoint.ask(batch, embedding).values,
            np.random.default_rng(),
            created=WALL_CLOCK(),
            canaries=settings.canaries,
            per_check=settings.per_check,
            scores=scores,
        )
    path = fingerprint_path(store, system.name)
    save_fingerprint(path, made)
    how = "always the same" if made.steady else "noisy"
    print(f"fingerprint: {len(made.inputs)} canaries enrolled, answers {how}: {path}", file=sys.stderr)
