"""Which benign messages an interaction is compared with (Mondrian calibration)."""

from __future__ import annotations

from bartizan.types import DetectorSpec, Interaction, Origin, Step

CELLS = ("request.user", "request.data", "response", "exchange")
"""Every cell: requests with and without content of tools or the web, answers, whole exchanges."""


def channel(origin: Origin) -> str:
    """Return ``data`` for content from tools and the web, ``user`` for everything nearer."""
    return "data" if origin >= Origin.TOOL else "user"


def score_key(spec: DetectorSpec, origin: Origin) -> str:
    """Return the name under which a detector's scores for an origin are calibrated."""
    return f"{spec.name}@{channel(origin)}" if spec.by_origin else spec.name


def cell_of(interaction: Interaction) -> str:
    """Return the calibration cell of an interaction."""
    if interaction.step is not Step.REQUEST:
        return interaction.step.value
    return "request.data" if any(p.origin >= Origin.TOOL for p in interaction.parts) else "request.user"
