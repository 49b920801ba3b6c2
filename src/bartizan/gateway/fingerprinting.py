"""Sends a system's canaries through its live endpoint, at times nobody can foresee."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from bartizan.alarms import Alarm, Ground
from bartizan.calibration.table import Table
from bartizan.errors import BartizanError, CalibrationError
from bartizan.gateway.manners import Overheard
from bartizan.gateway.served import Served
from bartizan.gateway.upstream import Answer, UpstreamError
from bartizan.monitoring.canaries import Asking, T
from bartizan.monitoring.enrolment import enrolling, renewing
from bartizan.monitoring.fingerprint import Fingerprint
from bartizan.monitoring.fingerprint_file import (
    fingerprint_path,
    load_bytes,
    load_fingerprint,
    save_fingerprint,
    state_path,
)
from bartizan.monitoring.model_watch import ModelWatch, Moved, alarm_of
from bartizan.protocols.inference_ask import Input, infer_body, model_path, read_inputs, read_outputs
from bartizan.protocols.open_inference import OpenInference
from bartizan.settings import FingerprintConfig
from bartizan.stats.conformal import keyed_uniform
from bartizan.store.private_file import save_bytes
from bartizan.types import FloatArray

_LOG = logging.getLogger("bartizan")

PAUSES: Final = (0.05, 5.0)
"""Shortest and longest pause, as multiples of the mean."""

RENEW_CHECKS: Final = 1000
"""A model that is no longer steady is looked into at most once in so many checks."""

LIVE_ROWS: Final = 64
"""Rows that a model is enrolled from without an operator's data."""

_PLACES: Final = 6
"""Reference rows come out of a calibration in single precision; more digits are noise."""


class _Unanswered(Exception):  # noqa: N818 - a statement about one request, caught here
    """The endpoint did not answer a canary."""


class Fingerprinting:
    """Watches one system's model through its endpoint.

    Args:
        served: The system; its configuration has a fingerprint.
        store: The data directory.
        key: The installation's key.
        on_alarm: Takes the alarm once the model has moved.
        on_ground: Takes what canaries say: a ground while the model is moved, ``None`` while it
            is as enrolled.
        clock: Seconds since the epoch.
        rng: Makes the canaries; must be unpredictable to others.
    """

    def __init__(
        self,
        served: Served,
        settings: FingerprintConfig,
        store: Path,
        key: bytes,
        *,
        on_alarm: Callable[[Alarm], None],
        on_ground: Callable[[Ground | None], None],
        clock: Callable[[], float],
        rng: np.random.Generator,
    ) -> None:
        self._served = served
        self._settings = settings
        self._file = fingerprint_path(store, served.config.name)
        self._state_file = state_path(store, served.config.name)
        self._key = hmac.digest(key, f"fingerprint|{served.config.name}".encode(), hashlib.sha256)
        self._on_alarm = on_alarm
        self._on_ground = on_ground
        self._clock = clock
        self._rng = rng
        upstream = served.upstream
        self._upstream = upstream if isinstance(upstream, Overheard) else Overheard(upstream)
        self._path = model_path(settings.model, settings.version)
        self._inputs: tuple[Input, ...] = ()
        self._scores = 0
        self._seen: tuple[int, int] | None = None
        self._watch: ModelWatch | None = None
        self._moved: Moved | None = None
        self._trouble = "not enrolled yet"
        self._unanswered = 0
        self._renewed = -RENEW_CHECKS
        self._pauses = 0

    @property
    def moved(self) -> Moved | None:
        """What was seen, while the model is not as it was enrolled."""
        return self._moved

    def status(self) -> str:
        """Return in words how the model answers its canaries."""
        watch = self._watch
        if watch is None:
            return self._trouble
        since = datetime.fromtimestamp(watch.fingerprint.created, UTC).strftime("%Y-%m-%d %H:%M")
        said = "as enrolled" if self._moved is None else f"CHANGED: {self._moved.summary}"
        said += f"; {'steady' if watch.fingerprint.steady else 'noisy'} model, checks: {watch.checks:,}"
        said += f"; enrolled {since} UTC"
        if watch.unrepeated:
            said += f"; answers that differed once and, asked again, did not: {watch.unrepeated:,}"
        if self._unanswered:
            said += f"; checks not answered: {self._unanswered:,}"
        return f"{said}; {self._trouble}" if self._trouble else said

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await self.check()
            await asyncio.sleep(self._pause())

    async def check(self) -> None:
        """Enrol, or check once. Trouble never leaves here: it is told by :meth:`status`."""
        try:
            await self._once()
        except (_Unanswered, UpstreamError) as error:
            self._unanswered += self._watch is not None
            self._trouble = f"the last check failed: {error}"
        except BartizanError as error:
            self._inputs = ()
            self._trouble = error.message
        except Exception as error:  # noqa: BLE001 - it must never stop serving; it is said on /readyz
            self._trouble = f"failed: {type(error).__name__}"
            _LOG.exception("checking the model of %s failed", self._served.config.name)

    async def _once(self) -> None:
        await asyncio.to_thread(self._load)
        if self._watch is None:
            await self._enrol()
            return
        watch = self._watch
        moved = await self._drive(watch.checking(self._clock()))
        self._trouble = ""
        self._tell(watch, moved)
        if watch.unsteady and watch.checks >= self._renewed + RENEW_CHECKS:
            await self._renew(watch)
        elif watch.unsteady:
            watch.steadied()
        if self._watch is not None:
            await asyncio.to_thread(save_bytes, self._state_file, self._watch.snapshot())

    def _tell(self, watch: ModelWatch, moved: Moved | None) -> None:
        if moved is not None:
            self._moved = moved
            name = self._served.config.name
            _LOG.warning("the model of %s has changed: %s", name, moved.summary)
            self._on_ground(moved.ground())
            self._on_alarm(alarm_of(moved, name, watch.fingerprint.digest))
        elif self._moved is not None and not watch.moved:
            self._moved = None
            _LOG.warning("the model of %s answers as it was enrolled again", self._served.config.name)
            self._on_ground(None)

    def _load(self) -> None:
        """Take up a fingerprint that is new on disk, and the state that belongs to it."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return
        if self._seen == (found.st_ino, found.st_mtime_ns):
            return
        print_ = load_fingerprint(self._file)
        if print_ is None:
            return
        self._seen = (found.st_ino, found.st_mtime_ns)
        self._start(print_)
        state = load_bytes(self._state_file)
        if state is not None and self._watch is not None and self._watch.restore(state):
            self._moved = self._watch.last if self._watch.moved else None
            if self._moved is not None:
                self._on_ground(self._moved.ground())

    def _start(self, print_: Fingerprint) -> None:
        if self._moved is not None:
            self._on_ground(None)  # enrolled anew: the operator has looked
        self._watch = ModelWatch(print_, self._key, self._settings.rate)
        self._moved, self._trouble, self._unanswered = None, "", 0

    async def _enrol(self) -> None:
        rows = reference_of(self._served.pipeline.table)
        if rows is None:
            self._upstream.listen(self._path)
            rows = await asyncio.to_thread(rows_in, self._upstream.bodies())
        if len(rows) < LIVE_ROWS:
            self._trouble = (
                f"not enrolled: {len(rows)} of {LIVE_ROWS} different rows seen in traffic so far; "
                "`bartizan calibrate --model` enrols at once"
            )
            return
        self._trouble = "being enrolled"
        await self._ask(rows[:1])
        settings = self._settings
        print_ = await self._drive(
            enrolling(
                rows,
                self._rng,
                created=self._clock(),
                canaries=settings.canaries,
                per_check=settings.per_check,
                scores=self._scores,
            )
        )
        await self._keep(print_)
        kind = "steady" if print_.steady else "noisy"
        _LOG.info("the model of %s is enrolled; its answers are %s", self._served.config.name, kind)

    async def _renew(self, watch: ModelWatch) -> None:
        """Look into a model that was taken for steady and gave another number once."""
        name = self._served.config.name
        self._renewed = watch.checks
        _LOG.warning(
            "the model of %s gave another number once, by %.1e, and not again: its noise is measured",
            name,
            watch.unsteady,
        )
        print_ = await self._drive(renewing(watch.fingerprint, self._rng, seen=watch.unsteady))
        watch.steadied()
        if print_ is None:
            self._trouble = "answers stray farther than arithmetic explains; still watched as a steady model"
            _LOG.warning("the model of %s: %s", name, self._trouble)
            return
        await self._keep(print_)
        self._trouble = "no longer steady: watched as a noisy model from now on"
        _LOG.warning("the model of %s is %s", name, self._trouble)

    async def _keep(self, print_: Fingerprint) -> None:
        await asyncio.to_thread(save_fingerprint, self._file, print_)
        found = self._file.stat()
        self._seen = (found.st_ino, found.st_mtime_ns)
        self._start(print_)
        self._upstream.forget()

    async def _drive(self, asking: Asking[T]) -> T:
        answer: FloatArray | None = None
        while True:
            # Enrolment computes for a while; not on the event loop.
            rows, result = await asyncio.to_thread(_step, asking, answer)
            if rows is None:
                return result[0]
            answer = await self._ask(rows)

    async def _ask(self, rows: FloatArray) -> FloatArray:
        if not self._inputs:
            self._inputs = read_inputs((await self._exchange("GET", self._path, b""))[1])
        body = infer_body(self._inputs, rows)
        headers, answer = await self._exchange("POST", f"{self._path}/infer", body)
        embedding = self._served.config.embedding_output
        outputs = read_outputs(headers, answer, len(rows), embedding=embedding)
        self._scores = outputs.scores
        return outputs.values

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[dict[str, str], bytes]:
        upstream, token = self._served.config.upstream, self._served.token
        try:
            async with (
                asyncio.timeout(upstream.timeout_s),
                self._upstream.send_alike(method, path, token, body) as answer,
            ):
                if answer.status != 200:
                    raise _Unanswered(f"the upstream answered {answer.status}")
                names = {k.decode("latin-1"): v.decode("latin-1") for k, v in answer.headers}
                return names, await _limited(answer, upstream.max_response_bytes)
        except TimeoutError:
            raise _Unanswered("the upstream did not answer in time") from None

    def _pause(self) -> float:
        """Return a pause with an exponential law: when the last check was says nothing of the next."""
        self._pauses += 1
        u = keyed_uniform(self._key, f"pause|{self._clock()}|{self._pauses}")
        low, high = PAUSES
        return self._settings.every_s * min(high, max(low, -math.log(u)))


def fingerprint_task(
    served: Served,
    store: Path,
    key: bytes,
    *,
    on_alarm: Callable[[Alarm], None],
    on_ground: Callable[[Ground | None], None] = lambda _: None,
    clock: Callable[[], float],
    rng: np.random.Generator,
) -> Fingerprinting | None:
    """Return what watches a system's model, to be run as a task; ``None`` where that is off."""
    settings = served.config.fingerprint
    if settings is None:
        return None
    return Fingerprinting(
        served, settings, store, key, on_alarm=on_alarm, on_ground=on_ground, clock=clock, rng=rng
    )


def reference_of(table: Table) -> FloatArray | None:
    """Return the reference rows that a calibration keeps, shape ``(n, d)``, if there are enough."""
    state = table.fitted.get("rows.neighbours", {})
    if not {"reference", "centre", "scale"} <= set(state):
        return None
    rows = np.round(state["reference"] * state["scale"] + state["centre"], _PLACES)
    return rows if rows.ndim == 2 and len(rows) >= LIVE_ROWS else None


def rows_in(bodies: Iterable[bytes]) -> FloatArray:
    """Return the different rows of inference requests, shape ``(n, d)``, those of the usual width."""
    protocol = OpenInference()
    found: list[FloatArray] = []
    for body in bodies:
        try:
            parts = protocol.parse_request("", {}, body).parts
        except BartizanError:
            continue
        found.extend(p.rows.inputs for p in parts if p.rows is not None)
    if not found:
        return np.zeros((0, 0))
    widths = [rows.shape[1] for rows in found]
    usual = max(set(widths), key=widths.count)
    return np.unique(np.concatenate([rows for rows in found if rows.shape[1] == usual]), axis=0)


def _step(asking: Asking[T], answer: FloatArray | None) -> tuple[FloatArray | None, tuple[T, ...]]:
    """Go on with work that asks; return the rows to ask next, or ``None`` and the result."""
    try:
        return (next(asking) if answer is None else asking.send(answer)), ()
    except StopIteration as done:
        return None, (done.value,)


async def _limited(answer: Answer, limit: int) -> bytes:
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > limit:
            raise CalibrationError("the upstream's answer to a canary is too large")
    return bytes(body)
