"""Reads from the command line what a candidate changes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bartizan import registry
from bartizan.config import Config, System, load
from bartizan.errors import ConfigError
from bartizan.types import Effect, Mode

EFFECTS = [effect.name.lower() for effect in Effect]


def add_candidate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a candidate may change."""
    group = parser.add_argument_group(
        "the candidate", "the configured system, with these changes; without any, the same under enforce"
    )
    group.add_argument("--candidate", type=Path, metavar="FILE", help="another bartizan.yaml, as a whole")
    group.add_argument(
        "--mode", choices=list(Mode), type=Mode, help="default: enforce, or what --candidate says"
    )
    group.add_argument("--rate", type=float, help="another false-alarm rate")
    group.add_argument("--calibration", type=Path, metavar="TABLE", help="made by `bartizan calibrate`")
    group.add_argument("--detectors", metavar="NAMES", help="these detectors and no others, with commas")
    group.add_argument(
        "--effect",
        action="append",
        default=[],
        metavar="DETECTOR=EFFECT",
        help="what a detector's findings ask for (repeatable)",
    )
    group.add_argument("--on-fault", choices=EFFECTS, help="where a detector can't answer")
    group.add_argument("--on-unjudged", choices=EFFECTS, help="where something isn't looked at")


def candidate_of(config: Config, system: System, args: argparse.Namespace) -> tuple[Config, System]:
    """Return the candidate's configuration and system.

    A table that was learnt is looked for beside the recorded traffic, also for another file.

    Raises:
        ConfigError: It isn't a configuration.
    """
    mode = args.mode
    if args.candidate is not None:
        other = load(args.candidate)
        config = other.model_copy(update={"store": config.store})
        system = config.system(system.name if len(other.systems) > 1 else None)
    elif mode is None:
        mode = Mode.ENFORCE
    changes = _changes(system, args)
    if mode is not None:
        changes["mode"] = mode
    # Built anew, so that what can't be is refused as in a file.
    changed = System.model_validate(system.model_dump() | changes)
    return config, changed


def _changes(system: System, args: argparse.Namespace) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if args.rate is not None:
        if not 0 < args.rate <= 0.5:
            raise ConfigError(f"--rate {args.rate} is not a rate", hint="above 0, up to 0.5")
        changes["false_alarm_rate"] = args.rate
    if args.calibration is not None:
        changes["calibration"] = system.calibration.model_dump() | {"file": args.calibration}
    if args.detectors is not None:
        changes["detectors"] = tuple(_installed(n.strip()) for n in args.detectors.split(",") if n.strip())
    if args.effect:
        changes["effects"] = system.effects | dict(map(_effect, args.effect))
    for name in ("on_fault", "on_unjudged"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    return changes


def _installed(name: str) -> str:
    known = registry.names(registry.DETECTORS)
    if name not in known:
        raise ConfigError(f"no detector named {name!r}", hint=f"installed are: {', '.join(known)}")
    return name


def _effect(text: str) -> tuple[str, str]:
    name, _, effect = text.partition("=")
    if effect not in EFFECTS:
        raise ConfigError(f"--effect {text} is not DETECTOR=EFFECT", hint=f"effects: {', '.join(EFFECTS)}")
    return _installed(name), effect
