"""Whether scores that a record keeps are those that the candidate's detectors would give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bartizan.features.variants import STATE
from bartizan.replay.side import Side
from bartizan.types import DetectorSpec, FaultReason, FloatArray, Verdict


class NotKept(Exception):  # noqa: N818 - a fact about a record, not a mistake
    """A record does not keep what the decision would need; says what."""


class Stored:
    """Knows which stored scores hold for the candidate.

    A score depends on the detector's version and options, and, where it learns from reference
    rows, on the calibration's fitted state. Records name the calibration by digest; where that is
    neither side's, versions and fitted state are taken to be the base's, and :meth:`assumed` says so.

    Args:
        base: The system as it is configured now.
        candidate: What it may become.
    """

    def __init__(self, base: Side, candidate: Side) -> None:
        self._base, self._candidate = base, candidate
        self._tables = {side.table.digest: side.table for side in (base, candidate)}

    def problem(self, spec: DetectorSpec, verdict: Verdict) -> str:
        """Return why a detector's stored scores can't be used; empty if they can."""
        if self._configured(spec):
            return f"{spec.name} is configured otherwise"
        known = self._tables.get(_calibration(verdict), self._base.table)
        version = known.versions.get(spec.name)
        if version is not None and version != spec.version and not _told(spec, verdict):
            return f"{spec.name} was version {version}, this is {spec.version}"
        state = (STATE,) if spec.needs_variants else ()
        fitted = (spec.name, *state) if spec.needs_fit else state
        if any(not _same(known.fitted.get(n), self._candidate.table.fitted.get(n)) for n in fitted):
            return f"{spec.name} would score against other reference rows"
        return ""

    def assumed(self, verdict: Verdict) -> bool:
        """Whether a verdict's calibration is not at hand, so that versions are taken on trust."""
        return verdict.measured is not None and _calibration(verdict) not in self._tables

    def unchanged(self, verdict: Verdict) -> bool:
        """Whether the candidate would have decided as recorded, mode aside, whatever was asked."""
        base, candidate = self._base, self._candidate
        if verdict.measured is None or _calibration(verdict) != candidate.table.digest:
            return False
        same = base.names == candidate.names and base.policy.effects == candidate.policy.effects
        same = same and not any(self._configured(d.spec) for d in candidate.pipeline.detectors)
        return same and verdict.level == candidate.level(verdict.measured.cell).rate

    def _configured(self, spec: DetectorSpec) -> bool:
        """Whether the two sides build a detector differently."""
        base, candidate = self._base.system, self._candidate.system
        if base.options.get(spec.name, {}) != candidate.options.get(spec.name, {}):
            return True
        if spec.contextual and base.canary_envs != candidate.canary_envs:
            return True
        return spec.needs_embedding and base.embedding_output != candidate.embedding_output


def _calibration(verdict: Verdict) -> str:
    return verdict.p_value.calibration if verdict.p_value is not None else ""


def _told(spec: DetectorSpec, verdict: Verdict) -> bool:
    """Whether the verdict itself says that this version scored, under a calibration of another."""
    return any(
        f.detector == spec.name
        and f.reason is FaultReason.UNCALIBRATED
        and f.detail.endswith(f"this is {spec.version}")
        for f in verdict.faults
    )


def _same(first: Mapping[str, FloatArray] | None, second: Mapping[str, FloatArray] | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)
