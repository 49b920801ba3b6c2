"""The typed model of ``bartizan.yaml``. Built once, passed on; unknown keys are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from bartizan.errors import ConfigError
from bartizan.settings import (
    Containment,
    EnvName,
    FingerprintConfig,
    HeaderName,
    Model,
    Monitoring,
    Name,
    Turns,
)
from bartizan.types import Effect, Mode

_MAX_CONFIG_BYTES = 1_000_000

EffectName = Literal["allow", "redact", "hold", "block"]


class Upstream(Model):
    """Where a system's requests go."""

    url: str = Field(description="Base URL, without the protocol's own path.")
    api_key_env: EnvName | None = Field(
        default=None,
        description="Environment variable with a bearer token to inject; without it the client's own "
        "credentials pass through.",
    )
    ca_file: Path | None = Field(default=None, description="PEM file of a private certificate authority.")
    connect_timeout_s: float = Field(default=5, gt=0, le=300)
    timeout_s: float = Field(default=300, gt=0, le=3600, description="For a whole answer, or between chunks.")
    max_response_bytes: int = Field(default=32 * 2**20, gt=0)

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if (
            not value.startswith(("http://", "https://"))
            or "@" in value.partition("://")[2].partition("/")[0]
        ):
            raise ValueError("must be http:// or https:// and carry no credentials")
        return value.rstrip("/")


class Identity(Model):
    """How a caller is named. The first source that is present wins."""

    header: HeaderName | None = Field(
        default=None, description="Header set by a trusted proxy; never one that clients can set."
    )
    mtls_header: HeaderName | None = Field(
        default=None, description="Header in which a TLS-terminating proxy puts the client's subject."
    )
    session_header: HeaderName = "x-session-id"


class Limits(Model):
    """Limits on what clients send."""

    body_bytes: int = Field(default=16 * 2**20, gt=0)
    body_timeout_s: float = Field(default=30, gt=0, description="For the whole request body to arrive.")
    headers: int = Field(default=100, gt=0)
    header_bytes: int = Field(default=32_768, gt=0)
    json_depth: int = Field(default=64, gt=0, le=512)
    tensor_elements: int = Field(default=10_000_000, gt=0)
    in_flight: int = Field(
        default=512, gt=0, description="Requests served at once; more are told to come back."
    )
    idle_s: float = Field(default=30, gt=0, description="For a request to start on an open connection.")


class Calibration(Model):
    """Where benign scores come from."""

    file: Path | None = Field(default=None, description="A table made by `bartizan calibrate`.")
    learn: bool = Field(
        default=True, description="In observe mode, learn a table from live scores (never contents)."
    )
    learn_every_s: float = Field(default=60, gt=0)
    quarantine_s: float = Field(
        default=600, ge=0, description="Scores younger than this are not learnt from."
    )
    principal_share: float = Field(
        default=0.05, gt=0, le=1, description="Largest share of a table that one principal may supply."
    )
    trim: float = Field(
        default=0.0002,
        ge=0,
        lt=0.1,
        description="Share of the strangest live scores left out; paid for out of the false-alarm rate.",
    )


class System(Model):
    """One protected AI system."""

    name: Name
    kind: Literal["chat", "predict"]
    upstream: Upstream
    mode: Mode = Mode.OBSERVE
    false_alarm_rate: float | None = Field(
        default=None, gt=0, le=0.5, description="Overrides the house's rate for this system."
    )
    detectors: tuple[str, ...] | None = Field(default=None, description="Default: all that fit the kind.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Constructor options per detector."
    )
    effects: dict[str, EffectName] = Field(default_factory=dict, description="Effect per detector.")
    on_fault: EffectName = "block"
    on_unjudged: EffectName = "allow"
    canary_envs: tuple[EnvName, ...] = Field(
        default=(), description="Environment variables whose values must never appear in an answer."
    )
    passthrough: tuple[str, ...] = Field(
        default=(), description="Path prefixes let through without judgement, and recorded as unjudged."
    )
    deadline_ms: float = Field(default=250, gt=0, description="For all detectors of one step together.")
    extra_calls: bool = Field(
        default=False,
        description="predict: after each answer, ask the model once more about changed copies of the rows "
        "(about 20 for each), for detectors that compare the answers. Costs model calls, and latency out of "
        "deadline_ms.",
    )
    embedding_output: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="predict: name of the output tensor that holds the model's embedding of each row.",
    )
    calibration: Calibration = Calibration()
    identity: Identity = Identity()
    fingerprint: FingerprintConfig | None = Field(
        default=None, description="predict: notice when the model is changed. Left out: off."
    )
    monitoring: Monitoring = Monitoring()
    turns: Turns = Turns()
    containment: Containment = Containment()
    on_model_changed: Literal["allow", "hold"] = Field(
        default="allow", description="When the model answers differently: go on, or hold everything."
    )

    @field_validator("passthrough")
    @classmethod
    def _absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not p.startswith("/") or ".." in p for p in value):
            raise ValueError("each prefix must start with '/' and contain no '..'")
        return value

    @model_validator(mode="after")
    def _watched(self) -> System:
        if self.kind != "predict" and self.monitoring != Monitoring():
            raise ValueError("only systems of kind predict are monitored")
        return self

    @model_validator(mode="after")
    def _talked_to(self) -> System:
        if self.kind != "chat" and self.turns != Turns():
            raise ValueError("only systems of kind chat have turns")
        if self.kind == "chat" and self.containment.attack == "degrade":
            raise ValueError(
                "an answer in words has no digits to leave out: containment.attack can't be degrade"
            )
        return self

    @model_validator(mode="after")
    def _fingerprinted(self) -> System:
        if self.kind != "predict" and self.fingerprint is not None:
            raise ValueError("only systems of kind predict have a fingerprint")
        return self

    def effect_of(self, name: EffectName) -> Effect:
        """Return the effect that a configured word stands for."""
        return Effect[name.upper()]


class Listen(Model):
    """An address to listen on."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = Field(
        default=None, description="Certificate authority that clients must have a certificate of (mTLS)."
    )

    @model_validator(mode="after")
    def _whole_tls(self) -> Listen:
        if (self.tls_cert is None) != (self.tls_key is None) or (self.tls_client_ca and not self.tls_cert):
            raise ValueError("tls_cert and tls_key go together, and tls_client_ca needs both")
        return self


class Admin(Model):
    """The admin plane: console, JSON API, metrics, health."""

    host: str = "127.0.0.1"
    port: int = Field(default=9090, ge=0, le=65535)
    token_env: EnvName = Field(
        default="BARTIZAN_ADMIN_TOKEN",
        description="Environment variable with the token; without one a token is made and printed at start.",
    )
    metrics_open: bool = Field(default=False, description="Let /metrics be read without the token.")
    hosts: tuple[str, ...] = Field(
        default=("localhost", "127.0.0.1", "[::1]"), description="Host names the admin plane answers to."
    )


class StoreConfig(Model):
    """Where records go."""

    path: Path = Path("bartizan-data")
    database_url: str | None = Field(default=None, description="Default: SQLite beside the ledger.")
    keep_content: bool = Field(
        default=False, description="Also keep the raw content of judged parts. Digests and spans always are."
    )
    retention_days: float | None = Field(default=30, gt=0)
    on_failure: Literal["serve", "refuse"] = Field(
        default="serve", description="When records can no longer be written."
    )


class Config(Model):
    """The whole of ``bartizan.yaml``."""

    version: Literal[1] = 1
    false_alarm_rate: float = Field(
        default=0.001, gt=0, le=0.5, description="The one number: benign messages alarmed, at most."
    )
    data: Listen = Listen()
    admin: Admin = Admin()
    store: StoreConfig = StoreConfig()
    limits: Limits = Limits()
    drain_s: float = Field(default=30, gt=0, description="For requests in flight to finish on SIGTERM.")
    systems: tuple[System, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_names(self) -> Config:
        names = [s.name for s in self.systems]
        if len(set(names)) != len(names):
            raise ValueError("two systems have the same name")
        return self

    def rate_of(self, system: System) -> float:
        """Return the false-alarm rate that applies to a system."""
        return system.false_alarm_rate if system.false_alarm_rate is not None else self.false_alarm_rate

    def system(self, name: str | None) -> System:
        """Return the named system, or the only one.

        Raises:
            ConfigError: There is no such system, or there are several and none is named.
        """
        if name is None and len(self.systems) == 1:
            return self.systems[0]
        for system in self.systems:
            if system.name == name:
                return system
        names = ", ".join(s.name for s in self.systems)
        raise ConfigError(
            f"no system named {name!r}" if name else "several systems are configured",
            hint=f"name one of: {names}",
        )


def load(path: Path) -> Config:
    """Read a configuration file; relative paths in it are relative to the file.

    Raises:
        ConfigError: Unreadable, not YAML, or not a configuration; says where and what to do.
    """
    try:
        text = path.read_bytes()[:_MAX_CONFIG_BYTES].decode()
        data = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            f"can't read {path}: {error.strerror}", hint="give the file with -c, or start from README"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}", hint="check the indentation there") from error
    return from_mapping(data, base=path.parent, where=str(path))


def from_mapping(data: Any, *, base: Path, where: str = "configuration") -> Config:
    """Validate decoded configuration.

    Raises:
        ConfigError: Lists every key that is wrong.
    """
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(p) for p in e['loc']) or 'top level'}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(
            f"{where}: {wrong}", hint="`bartizan config schema` prints what is allowed"
        ) from None
    return _anchored(config, base)


def secret(env: str | None) -> str | None:
    """Return the value of an environment variable that holds a secret.

    Raises:
        ConfigError: It is configured and not set.
    """
    if env is None:
        return None
    value = os.environ.get(env)
    if not value:
        raise ConfigError(f"environment variable {env} is not set", hint=f"export {env}=… before starting")
    return value


def schema() -> str:
    """Return the JSON Schema of the configuration."""
    return json.dumps(Config.model_json_schema(), indent=2)


def _anchored(config: Config, base: Path) -> Config:
    def anchor(path: Path | None) -> Path | None:
        return path if path is None or path.is_absolute() else base / path

    systems = tuple(
        s.model_copy(
            update={
                "calibration": s.calibration.model_copy(update={"file": anchor(s.calibration.file)}),
                "monitoring": s.monitoring.model_copy(update={"baseline": anchor(s.monitoring.baseline)}),
                "upstream": s.upstream.model_copy(update={"ca_file": anchor(s.upstream.ca_file)}),
            }
        )
        for s in config.systems
    )
    data = config.data.model_copy(
        update={k: anchor(getattr(config.data, k)) for k in ("tls_cert", "tls_key", "tls_client_ca")}
    )
    store = config.store.model_copy(update={"path": anchor(config.store.path)})
    return config.model_copy(update={"systems": systems, "store": store, "data": data})
