"""The typed model of what is watched over time, and of what follows from it"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_MAX_DELAY_QUERIES = 10_000
_MAX_DELAY_S = 86_400

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Model(BaseModel):
    """A section of the configuration: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Containment(Model):
    """What an alarm does to the principals it concerns. Carried out under `enforce`, else recorded."""

    attack: Literal["none", "throttle", "degrade", "hold", "block"] = Field(
        default="hold", description="Against principals of an alarm taken for an attack."
    )
    tenant_change: Literal["none", "throttle"] = Field(
        default="none", description="Where it may as well be an honest change of one tenant."
    )
    turns: Literal["none", "throttle", "hold", "block"] = Field(
        default="hold", description="chat: where evidence over turns, or probing, was found alone."
    )
    scope: Literal["session", "principal"] = Field(
        default="session", description="chat: whether one session or all of its principal is contained."
    )
    duration_s: float = Field(default=3600, gt=0, le=31 * 86_400, description="From when a measure started.")
    delay_queries: tuple[int, int] = Field(
        default=(5, 50), description="Fewest and most further queries before a measure starts."
    )
    delay_s: tuple[float, float] = Field(
        default=(10, 120), description="Fewest and most seconds before it starts; whichever comes first."
    )
    throttle_per_s: float = Field(default=1, gt=0, le=10_000, description="Queries a second when throttled.")
    throttle_burst: int = Field(default=5, ge=1, le=1_000)
    throttle_wait_s: float = Field(
        default=10, ge=0, le=60, description="Longest wait of a throttled query; beyond it is held."
    )
    digits: int = Field(default=1, ge=1, le=2, description="Digits that a degraded score keeps.")
    top_only: bool = Field(default=False, description="Degraded class scores only say which class is first.")

    @model_validator(mode="after")
    def _ranges(self) -> Containment:
        for low, high, most in (
            (*self.delay_queries, _MAX_DELAY_QUERIES),
            (*self.delay_s, _MAX_DELAY_S),
        ):
            if not 0 <= low <= high <= most:
                raise ValueError(f"a delay is two numbers, fewest first, from 0 to {most}")
        return self


class Monitoring(Model):
    """What is watched over time. Only for systems of kind `predict`."""

    baseline: Path | None = Field(
        default=None,
        description="The stream as it should be, made from recorded traffic; none: learnt from live traffic.",
    )
    learn: bool = Field(
        default=True, description="Without a baseline, learn one from the first live events, and keep it."
    )
    learn_events: int = Field(default=20_000, ge=1_000, le=1_000_000, description="Events to learn from.")
    events_per_alarm: float = Field(
        default=1e6, ge=100, le=1e12, description="A learnt baseline's promise: one false alarm per so many."
    )
    trusted_principals: tuple[str, ...] = Field(
        default=(), description="Names of callers whose traffic nobody else can shape."
    )
    trusted_header: HeaderName | None = Field(
        default=None, description="Header that marks trusted traffic; it is not passed on."
    )
    trusted_token_env: EnvName | None = Field(
        default=None, description="Environment variable with the value that the header must have."
    )
    group_headers: dict[Name, HeaderName] = Field(
        default_factory=dict,
        description="Coarser names of callers, such as network: x-client-asn, set by a trusted proxy.",
    )
    snapshot_s: float = Field(default=60, gt=0, description="How often the monitor's state is saved.")
    queue: int = Field(
        default=10_000, gt=0, le=1_000_000, description="Exchanges that may wait to be watched."
    )

    @model_validator(mode="after")
    def _whole_trust(self) -> Monitoring:
        if (self.trusted_header is None) != (self.trusted_token_env is None):
            raise ValueError("trusted_header and trusted_token_env go together: anybody can send a header")
        return self


class FingerprintConfig(Model):
    """Secret inputs sent through the live endpoint, whose answers tell when its model was changed."""

    model: str = Field(min_length=1, max_length=256, description="The model's name at the upstream.")
    version: str = Field(default="", max_length=64, description="Default: the version the upstream chooses.")
    every_s: float = Field(default=60, ge=0.05, le=86_400, description="Mean time between two checks.")
    canaries: int = Field(default=32, ge=8, le=256)
    per_check: int = Field(default=1, ge=1, le=8, description="Canaries in one check's request.")
    rate: float = Field(
        default=1e-6, ge=1e-9, le=0.01, description="False alarms expected per check of an unchanged model."
    )


class Turns(Model):
    """Evidence over the turns of sessions and callers. Only for systems of kind `chat`."""

    watch: bool = Field(default=True, description="Whether turns are taken together at all.")
    session_rate: float = Field(
        default=0.001, ge=1e-9, le=0.5, description="Benign sessions that ever signal, at most."
    )
    turns_per_alarm: float = Field(
        default=1e5, ge=10, le=1e12, description="One false signal of a caller expected per so many turns."
    )
    probing_rate: float = Field(
        default=0.001, ge=1e-9, le=0.5, description="Odd texts of benign callers whose edits signal, at most."
    )
    snapshot_s: float = Field(default=60, gt=0, description="How often what is remembered is saved.")
    queue: int = Field(default=10_000, gt=0, le=1_000_000, description="Turns that may wait to be watched.")
