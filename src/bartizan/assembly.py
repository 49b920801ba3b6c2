"""Builds a system's pipeline from configuration: detectors, policy, calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import cast

from bartizan import registry
from bartizan.calibration.table import Table, decode
from bartizan.config import Config, System, secret
from bartizan.errors import CalibrationError, ConfigError
from bartizan.features.memory import Memory
from bartizan.pipeline import Pipeline
from bartizan.policy.containment import Containment, Measure
from bartizan.policy.decide import Policy
from bartizan.ports import (
    Detector,
    Fittable,
    PicksEmbedding,
    Prepared,
    RowsFittable,
    Unavailable,
    WireProtocol,
)
from bartizan.protocols.limits import DEFAULT, Limits
from bartizan.types import DetectorSpec, FloatArray, Mode, Rows

GENERIC = "generic.msgpack"
EMPTY = Table("none", 0.0, {})


def load_table(path: Path) -> Table:
    """Read a calibration table from a file.

    Raises:
        CalibrationError: Missing or not a table.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise CalibrationError(
            f"can't read calibration {path}: {error.strerror}", hint="make it with `bartizan calibrate`"
        ) from error


def generic_table() -> Table:
    """Return the shipped table for text: useful in the first minute, promises nothing on your traffic."""
    return decode((files("bartizan.calibration") / GENERIC).read_bytes())


def learned_path(store: Path, system: str) -> Path:
    """Return where a system's learned or calibrated table is kept."""
    return store / "calibration" / f"{system}.msgpack"


def sessions_path(store: Path, system: str) -> Path:
    """Return where the table of a system's simulated benign sessions is kept."""
    return store / "watch" / f"{system}.sessions"


def table_of(config: Config, system: System) -> Table:
    """Return the calibration in force for a system: configured, else learned, else generic."""
    if system.calibration.file is not None:
        return load_table(system.calibration.file)
    learned = learned_path(config.store.path, system.name)
    if learned.exists():
        return load_table(learned)
    return generic_table() if system.kind == "chat" else EMPTY


def detectors_of(system: System, table: Table) -> tuple[Detector, ...]:
    """Load a system's detectors.

    Without a list, those are on that calibration chose; where it chose none, those that fit
    the kind of system, are not on by choice only and, once the system is calibrated on its own
    data, could be calibrated there.
    """
    names = system.detectors
    if names is None:
        names = table.selection.on if table.selection is not None else usual_detectors(system.kind)
        if table.given_by_operator():
            names = tuple(n for n in names if n in table.calibrated())
    unknown = (set(system.options) | set(system.effects)) - set(registry.names(registry.DETECTORS))
    if unknown:
        raise ConfigError(
            f"system {system.name}: options or effects for unknown detectors: {', '.join(sorted(unknown))}",
            hint=f"installed are: {', '.join(registry.names(registry.DETECTORS))}",
        )
    options = {name: dict(system.options.get(name, {})) for name in names}
    if system.canary_envs and "text.leak" in options:
        canaries = tuple(value for env in system.canary_envs if (value := secret(env)))
        options["text.leak"]["canaries"] = canaries
    detectors = tuple(registry.detector(name, options[name]) for name in names)
    if unfed := [(d.spec.name, why) for d in detectors if (why := _unfed(d.spec, system))]:
        name, why = unfed[0]
        raise ConfigError(f"system {system.name}: {name} needs {why}", hint=f"set it, or leave {name} out")
    return detectors


def usual_detectors(kind: str) -> tuple[str, ...]:
    """Return the detectors that are on where the operator gave no list and nothing was measured."""
    names = registry.detectors_for(kind)
    return tuple(n for n in names if not registry.detector(n).spec.by_choice)


def candidates_of(system: System) -> tuple[str, ...]:
    """Return the detectors that a system could have on: the operator's list, or all it can feed."""
    if system.detectors is not None:
        return system.detectors
    names = registry.detectors_for(system.kind)
    return tuple(n for n in names if not _unfed(registry.detector(n).spec, system))


def protocols_of(system: System, limits: Limits = DEFAULT) -> tuple[WireProtocol, ...]:
    """Load the wire protocols that a system speaks.

    Raises:
        ConfigError: It names an embedding and no protocol can pick one out.
    """
    protocols = registry.protocols_for(system.kind, limits)
    if system.embedding_output is None:
        return protocols
    if not all(isinstance(p, PicksEmbedding) for p in protocols):
        raise ConfigError(
            f"system {system.name}: its protocol has no outputs to pick an embedding from",
            hint="leave embedding_output out",
        )
    return tuple(cast("PicksEmbedding", p).with_embedding(system.embedding_output) for p in protocols)


def fitted_states(
    detectors: Iterable[Detector],
    inputs: FloatArray,
    outputs: FloatArray | None,
    *,
    rows: Rows | None = None,
) -> dict[str, dict[str, FloatArray]]:
    """Fit every detector that learns from reference rows.

    Args:
        detectors: All of a system's detectors.
        inputs: Shape ``(n, d)``: benign rows, not used for calibration.
        outputs: Shape ``(n, k)``: what the model answered, if known.
        rows: The same with variants and embedding, for detectors that learn from those.
    """
    given = rows if rows is not None else Rows(inputs, outputs)
    states = {}
    for detector in detectors:
        if detector.spec.needs_fit:
            more = bool(detector.spec.needs_variants) or detector.spec.needs_embedding
            state = (
                cast("RowsFittable", detector).fit_rows(given)
                if more
                else cast("Fittable", detector).fit(inputs, outputs)
            )
            states[detector.spec.name] = dict(state)
    return states


def _unfed(spec: DetectorSpec, system: System) -> str:
    """Return the setting without which a system can't give a detector what it looks at."""
    if spec.needs_variants and not system.extra_calls:
        return "extra_calls: true"
    if spec.needs_embedding and system.embedding_output is None:
        return "embedding_output"
    if missing := [o for o in spec.needs_options if o not in system.options.get(spec.name, {})]:
        return f"options.{spec.name}.{missing[0]}"
    return ""


def policy_of(system: System) -> Policy:
    """Return a system's policy."""
    return Policy(
        mode=system.mode,
        on_fault=system.effect_of(system.on_fault),
        on_unjudged=system.effect_of(system.on_unjudged),
        effects={name: system.effect_of(effect) for name, effect in system.effects.items()},
    )


def containment_of(system: System) -> Containment:
    """Return what an alarm does to a system's principals."""
    given = system.containment
    return Containment(
        attack=Measure[given.attack.upper()],
        tenant_change=Measure[(given.turns if system.kind == "chat" else given.tenant_change).upper()],
        model_changed=Measure.HOLD if system.on_model_changed == "hold" else Measure.NONE,
        duration_s=given.duration_s,
        delay_queries=given.delay_queries,
        delay_s=given.delay_s,
        throttle_per_s=given.throttle_per_s,
        throttle_burst=given.throttle_burst,
        throttle_wait_s=given.throttle_wait_s,
        digits=given.digits,
        top_only=given.top_only,
    )


def build_pipeline(
    config: Config,
    system: System,
    *,
    memory: Memory | None = None,
    table: Table | None = None,
    on_timing: Callable[[str, int], None] | None = None,
) -> Pipeline:
    """Build a system's pipeline.

    Raises:
        ConfigError: The system is to enforce and a detector has no calibration: it could
            only be blind, or block everything.
        ExtensionError: A detector doesn't load.
        CalibrationError: The calibration can't be read.
    """
    table = table if table is not None else table_of(config, system)
    detectors = detectors_of(system, table)
    if system.mode is Mode.ENFORCE:
        calibrated = table.calibrated()
        missing = [d.spec.name for d in detectors if d.spec.name not in calibrated]
        if missing or not table.cells:
            raise ConfigError(
                f"system {system.name} enforces without calibration of: {', '.join(missing) or 'anything'}",
                hint=f"run `bartizan calibrate --system {system.name} FILE` on benign data, "
                "or use mode: observe",
            )
    for detector in detectors:
        if isinstance(detector, Prepared):
            with suppress(Unavailable):  # its scores will say so again, as faults
                detector.prepare()
    return Pipeline(
        detectors,
        policy_of(system),
        table,
        rate=config.rate_of(system),
        deadline_ms=system.deadline_ms,
        memory=memory,
        on_timing=on_timing,
    )
