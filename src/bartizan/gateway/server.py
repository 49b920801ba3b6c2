"""The composition root of a serving process: both planes, the store, start and stop."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import uvicorn
from starlette.routing import BaseRoute

from bartizan import __version__
from bartizan.assembly import build_pipeline, protocols_of
from bartizan.clock import WALL_CLOCK
from bartizan.config import Config, System, secret
from bartizan.errors import ConfigError
from bartizan.features.memory import Memory
from bartizan.gateway.admin import build_admin
from bartizan.gateway.exchange import Context
from bartizan.gateway.fingerprinting import Fingerprinting, fingerprint_task
from bartizan.gateway.http import limited_protocol, server_options
from bartizan.gateway.identify import Identifier, install_key
from bartizan.gateway.learning import learn, learns
from bartizan.gateway.manners import Overheard
from bartizan.gateway.metrics import Metrics
from bartizan.gateway.plane import DataPlane
from bartizan.gateway.recording import Recorder, released_record
from bartizan.gateway.served import Served, prefixes
from bartizan.gateway.status import CellStatus, DetectorStatus, GatewayStatus, SystemStatus
from bartizan.gateway.upstream import PyreqwestUpstream, Upstream
from bartizan.gateway.watching import Watching, watching_of
from bartizan.protocols.limits import Limits
from bartizan.stats.intervals import clopper_pearson
from bartizan.store.store import Store
from bartizan.store.views import StoreSettings

_LOG = logging.getLogger("bartizan")
_LEARNED_WORKERS = 2
_STORE_CLOSE_S = 30.0
_ADMIN_CLOSE_S = 2

Routes = Callable[[Store, Callable[[], GatewayStatus], Callable[[], float]], Sequence[BaseRoute]]


class Gateway:
    """Everything that serves, from one configuration.

    Args:
        config: The configuration.
        console: Makes the console's routes; left out, there is no console.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, config: Config, *, console: Routes | None = None, clock: Callable[[], float] = WALL_CLOCK
    ) -> None:
        self.config = config
        self._clock = clock
        self._started_at = clock()
        self.metrics = Metrics()
        self.store = Store(
            StoreSettings(
                path=config.store.path,
                database_url=config.store.database_url,
                retention_days=config.store.retention_days,
            ),
            clock,
        )
        try:
            key = install_key(config.store.path / "principals.key")
            self.systems = tuple(self._serve(s, key) for s in config.systems)
        except BaseException:
            self.store.close()
            raise
        self.fingerprints = {s.config.name: f for s in self.systems if (f := self._fingerprint(s, key))}
        self.recorder = Recorder(self.store)
        self._new_id = _id_maker(clock)
        self._pool = ThreadPoolExecutor(_LEARNED_WORKERS, thread_name_prefix="learned")
        self.plane = DataPlane(
            Context(
                recorder=self.recorder,
                metrics=self.metrics,
                limits=config.limits,
                learned=self._pool,
                clock=clock,
                new_id=self._new_id,
                keep_content=config.store.keep_content,
            ),
            self.systems,
            refuse_unrecorded=config.store.on_failure == "refuse",
        )
        self.metrics.in_flight.set_function(lambda: self.plane.in_flight)
        self.token, self.token_made = _admin_token(config)
        self._learning: dict[str, str] = {}
        self.admin = build_admin(
            store=self.store,
            status=self.status,
            token=self.token,
            metrics=self.metrics.exposition,
            clock=clock,
            console=() if console is None else console(self.store, self.status, clock),
            hosts=config.admin.hosts,
            metrics_open=config.admin.metrics_open,
            release=self.release,
        )

    def status(self) -> GatewayStatus:
        """Return what the gateway is doing."""
        checks = {"ledger": "ok", "query store": "ok", "serving": "ok"}
        health = self.store.health()
        if not health.writable:
            checks["ledger"] = health.error or "not writable"
        if health.database_error:
            checks["query store"] = (
                f"{health.database_error} ({health.unprojected} records wait in the ledger)"
            )
        if self.plane.draining:
            checks["serving"] = "draining"
        blocking = self.plane.draining or (self.config.store.on_failure == "refuse" and not health.writable)
        for system in self.systems:
            if system.watching is not None:
                checks[f"monitoring of {system.config.name}"] = system.watching.check()
        for name, fingerprint in self.fingerprints.items():
            checks[f"fingerprint of {name}"] = fingerprint.status()
        for name, why in self._learning.items():
            checks[f"calibration of {name}"] = why
        return GatewayStatus(
            version=__version__,
            started_at=self._started_at,
            ready=not blocking,
            checks=checks,
            systems=tuple(self._system_status(s) for s in self.systems),
            in_flight=self.plane.in_flight,
        )

    def release(self, principal: str, system: str | None) -> tuple[str, ...]:
        """Let a contained principal go, and record that; see :class:`~.watching.Watching`.

        Args:
            principal: Who; empty for the hold on a whole system.
            system: Where; ``None`` for everywhere.

        Returns:
            The systems in which it was contained.
        """
        released = []
        for served in self.systems:
            name, watching = served.config.name, served.watching
            if watching is None or system not in (None, name) or not watching.release(principal):
                continue
            released.append(name)
            record = released_record(self._new_id(), self._clock(), name, principal)
            if not self.recorder.append(record):
                self.metrics.dropped()
        return tuple(released)

    async def run(self, ready: Callable[[int, int], None] | None = None) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Args:
            ready: Called with the data and admin ports once both listen.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await self.serve(stop, ready)

    async def serve(self, stop: asyncio.Event, ready: Callable[[int, int], None] | None = None) -> None:
        """Serve until ``stop`` is set, then drain and close."""
        data_socket = _bind(self.config.data.host, self.config.data.port)
        admin_socket = _bind(self.config.admin.host, self.config.admin.port)
        data, admin = self._data_server(), self._admin_server()
        running = [
            asyncio.ensure_future(data.serve([data_socket])),
            asyncio.ensure_future(admin.serve([admin_socket])),
        ]
        learning = asyncio.ensure_future(self._learn())
        fingerprints = [asyncio.ensure_future(f.run()) for f in self.fingerprints.values()]
        watching = [s.watching for s in self.systems if s.watching is not None]
        for watched in watching:
            watched.start()
        await asyncio.gather(data.up.wait(), admin.up.wait())
        if ready is not None:
            ready(data_socket.getsockname()[1], admin_socket.getsockname()[1])
        try:
            await stop.wait()
            if not await self.plane.drain(self.config.drain_s):
                _LOG.warning("requests were still in flight after %g s and are cut off", self.config.drain_s)
        finally:
            learning.cancel()
            for checking in fingerprints:
                checking.cancel()
            await asyncio.gather(*fingerprints, return_exceptions=True)
            data.should_exit = admin.should_exit = True
            await asyncio.gather(*running, return_exceptions=True)
            for system in self.systems:
                await system.upstream.close()
            self._pool.shutdown(wait=False, cancel_futures=True)
            for watched in watching:
                await asyncio.to_thread(watched.close)
            await asyncio.to_thread(self.store.close, _STORE_CLOSE_S)

    def _serve(self, system: System, key: bytes) -> Served:
        pipeline = build_pipeline(self.config, system, memory=Memory(), on_timing=self.metrics.detector_time)
        return Served(
            config=system,
            prefix=prefixes(self.config.systems)[system.name],
            pipeline=pipeline,
            protocols=protocols_of(
                system,
                Limits(depth=self.config.limits.json_depth, elements=self.config.limits.tensor_elements),
            ),
            upstream=_upstream_of(system),
            identifier=Identifier(system.identity, key),
            token=secret(system.upstream.api_key_env),
            watching=watching_of(system, key, self.store, self.metrics, self._clock, self.config.store.path),
        )

    def _fingerprint(self, system: Served, key: bytes) -> Fingerprinting | None:
        watching = system.watching if isinstance(system.watching, Watching) else None
        return fingerprint_task(
            system,
            self.config.store.path,
            key,
            on_alarm=_ignore if watching is None else watching.on_alarm,
            on_ground=_ignore if watching is None else watching.canaries,
            clock=self._clock,
            rng=np.random.default_rng(secrets.randbits(256)),
        )

    def _system_status(self, system: Served) -> SystemStatus:
        table, rate = system.pipeline.table, self.config.rate_of(system.config)
        calibrated = table.calibrated()
        detectors = []
        for detector in system.pipeline.detectors:
            spec = detector.spec
            median, high = self.metrics.detector_cost_us(spec.name)
            detectors.append(
                DetectorStatus(
                    name=spec.name,
                    maturity=spec.maturity,
                    calibrated=spec.name in calibrated,
                    inline=not spec.learned or system.config.mode.value == "enforce",
                    p50_us=median,
                    p99_us=high,
                    faults=self.metrics.fault_count(system.config.name, spec.name),
                )
            )
        return SystemStatus(
            name=system.config.name,
            kind=system.config.kind,
            mode=system.config.mode,
            upstream=system.config.upstream.url.partition("?")[0],
            protocols=tuple(p.name for p in system.protocols),
            false_alarm_rate=rate,
            cells=tuple(self._cell_status(system, cell, rate) for cell in sorted(table.cells)),
            detectors=tuple(detectors),
            watch=None if system.watching is None else system.watching.status(),
        )

    def _cell_status(self, system: Served, cell: str, rate: float) -> CellStatus:
        table = system.pipeline.table
        # What an earlier table flagged says nothing about this one.
        flagged, total = self.store.alarm_counts(system.config.name, cell, table.created)
        low, high = clopper_pearson(flagged, total)
        source: Any = table.cells[cell].source
        return CellStatus(
            cell=cell,
            n=table.cells[cell].statistics.n,
            calibration=table.digest,
            source=source,
            promised=rate,
            certified=table.level(cell, rate).rate,
            flagged=flagged,
            total=total,
            realised=flagged / total if total else 0.0,
            low=low,
            high=high,
        )

    async def _learn(self) -> None:
        systems = [s for s in self.systems if learns(s)]
        if not systems:
            return
        while True:
            await asyncio.sleep(min(s.config.calibration.learn_every_s for s in systems))
            for system in systems:
                rate = self.config.rate_of(system.config)
                try:
                    proposal = await asyncio.to_thread(
                        learn, system, self.store, rate, self.config.store.path, self._clock
                    )
                    self._learning[system.config.name] = proposal.why
                except Exception as error:  # noqa: BLE001 - learning must never stop serving; it is said on /readyz
                    self._learning[system.config.name] = f"learning failed: {type(error).__name__}"
                    _LOG.exception("learning a calibration for %s failed", system.config.name)

    def _data_server(self) -> _Server:
        config, limits = self.config, self.config.limits
        protocol = limited_protocol(
            header_bytes=limits.header_bytes, headers=limits.headers, head_timeout_s=limits.idle_s
        )
        options: dict[str, Any] = {**server_options(), "date_header": False}
        if config.data.tls_cert is not None:
            options |= {
                "ssl_certfile": str(config.data.tls_cert),
                "ssl_keyfile": _optional(config.data.tls_key),
            }
            options |= {"ssl_version": ssl.PROTOCOL_TLS_SERVER}
            if config.data.tls_client_ca is not None:
                options |= {
                    "ssl_ca_certs": str(config.data.tls_client_ca),
                    "ssl_cert_reqs": ssl.CERT_REQUIRED,
                }
        return _Server(uvicorn.Config(self.plane, http=protocol, loop="none", **options))

    def _admin_server(self) -> _Server:
        return _Server(
            uvicorn.Config(
                self.admin,
                http="httptools",
                loop="none",
                # Live views stream for minutes; nobody waits for them at the end.
                timeout_graceful_shutdown=_ADMIN_CLOSE_S,
                **server_options(),
            )
        )


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to :class:`Gateway`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # a generator there
        return nullcontext()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror}",
            hint="choose another port in the configuration",
        ) from error
    listener.set_inheritable(False)
    return listener


def _admin_token(config: Config) -> tuple[str, bool]:
    given = os.environ.get(config.admin.token_env)
    return (given, False) if given else (secrets.token_urlsafe(24), True)


def _id_maker(clock: Callable[[], float]) -> Callable[[], str]:
    """Return a maker of ids that sort by time and can't be guessed."""
    # One call to the system for 256 ids.
    drawn: list[str] = []

    def make() -> str:
        if not drawn:
            many = secrets.token_hex(8 * 256)
            drawn.extend(many[i : i + 16] for i in range(0, len(many), 16))
        return f"bz-{int(clock() * 1000):011x}-{drawn.pop()}"

    return make


def _upstream_of(system: System) -> Upstream:
    upstream = PyreqwestUpstream(system.upstream)
    return upstream if system.fingerprint is None else Overheard(upstream)


def _ignore(_: object) -> None:
    """Nobody else is to be told."""


def _optional(path: Any) -> str | None:
    return None if path is None else str(path)
