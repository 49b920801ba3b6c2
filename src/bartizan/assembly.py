"""Builds a system's pipeline from configuration: detectors, policy, calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import cast

from bartizan import registry
from bartizan.calibration.table import Table, decode
from bartizan.config import Config, System, secret
from bartizan.errors import CalibrationError, ConfigError
from bartizan.features.memory import Memory
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.ports import Detector, Fittable
from bartizan.types import FloatArray, Mode

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

    Without a list, those are on that fit the kind of system and, once the system is
    calibrated on its own data, that could be calibrated there.
    """
    names = system.detectors
    if names is None:
        names = registry.detectors_for(system.kind)
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
    return tuple(registry.detector(name, options[name]) for name in names)


def fitted_states(
    detectors: Iterable[Detector], inputs: FloatArray, outputs: FloatArray | None
) -> dict[str, dict[str, FloatArray]]:
    """Fit every detector that learns from reference rows.

    Args:
        detectors: All of a system's detectors.
        inputs: Shape ``(n, d)``: benign rows, not used for calibration.
        outputs: Shape ``(n, k)``: what the model answered, if known.
    """
    return {
        d.spec.name: dict(cast("Fittable", d).fit(inputs, outputs)) for d in detectors if d.spec.needs_fit
    }


def policy_of(system: System) -> Policy:
    """Return a system's policy."""
    return Policy(
        mode=system.mode,
        on_fault=system.effect_of(system.on_fault),
        on_unjudged=system.effect_of(system.on_unjudged),
        effects={name: system.effect_of(effect) for name, effect in system.effects.items()},
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
    return Pipeline(
        detectors,
        policy_of(system),
        table,
        rate=config.rate_of(system),
        deadline_ms=system.deadline_ms,
        memory=memory,
        on_timing=on_timing,
    )
