from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bartizan.alarms import Alarm, Answer, Cause, Ground, StreamShare
from bartizan.store import Store, StoreSettings
from bartizan.types import (
    Coverage,
    Effect,
    Evidence,
    Fault,
    FaultReason,
    Finding,
    Measured,
    Mode,
    Origin,
    PartKind,
    PartSummary,
    Principal,
    PValue,
    Record,
    Step,
    StepRecord,
    Unjudged,
    Verdict,
)

START = 1_700_000_000.0


def build_record(number: int = 0, *, p: float | None = 0.5, **changes: Any) -> Record:
    """A whole record: id and time follow ``number``; every tenth is blocked."""
    effect = Effect.BLOCK if number % 10 == 9 else Effect.ALLOW
    p_value = None if p is None else PValue(p, 5000, "0123abcd")
    finding = Finding(
        detector="text.hidden",
        score=3.25,
        p_value=PValue(0.0001, 5000, "0123abcd"),
        part="/messages/0/content",
        row=None,
        evidence=Evidence("Characters that nobody can see.", spans=((3, 9),)),
        effect=Effect.BLOCK,
        taxonomy=("AML.T0051.000",),
    )
    verdict = Verdict(
        effect=effect,
        rule="default",
        mode=Mode.ENFORCE,
        p_value=p_value,
        level=0.001,
        findings=(finding,) if effect else (),
        faults=(Fault("text.leak", FaultReason.TIMEOUT),) if number % 10 == 8 else (),
        coverage=Coverage(judged=("/messages/0/content",), unjudged=(Unjudged("/messages/1", "image"),)),
        measured=Measured("user", 1, {"text.hidden": number / 7, "text.leak": -0.5}),
    )
    part = PartSummary("/messages/0/content", PartKind.TEXT, Origin.USER, "00ff", 12)
    record = Record(
        id=f"r{number:06d}",
        time=START + number,
        system="shop" if number % 2 else "desk",
        protocol="openai-chat",
        principal=Principal(f"key:{number % 3}", "api-key", f"session-{number % 5}"),
        model="small",
        effect=effect,
        enforced=effect,
        rule="default",
        p_value=p,
        status=403 if effect else 200,
        stream=bool(number % 2),
        added_us=100 + number,
        upstream_us=5_000,
        steps=(StepRecord(Step.REQUEST, verdict, (part,)),),
    )
    return replace(record, **changes)


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    return build_record


@dataclass
class Clock:
    now: float = START + 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Store]]:
    """Opens stores in one directory, and closes those that the test left open."""
    opened: list[Store] = []

    def opener(**settings: Any) -> Store:
        defaults: dict[str, Any] = {"path": tmp_path / "data", "retention_days": None, "group_ms": 1.0}
        store = Store(StoreSettings(**(defaults | settings)), clock)
        opened.append(store)
        return store

    yield opener
    for store in opened:
        if store.health().writable:
            store.close()


def build_alarm(number: int = 0, **changes: Any) -> Alarm:
    """A whole alarm: id and time follow ``number``."""
    alarm = Alarm(
        id=f"al-{number:04d}",
        system="fraud",
        time=START + number,
        index=1_000 + number,
        cause=Cause.ATTACK,
        onset=START + number - 60,
        onset_index=900 + number,
        streams=(StreamShare("input.amount", 0.75, "higher"), StreamShare("output.class", 0.25, "'deny'")),
        principals=("key:1", "key:2"),
        grounds=(
            Ground("global", Answer.YES, 1e-6, "The stream changed."),
            Ground("local", Answer.YES, 0.01, "Two principals differ.", 0.002),
            Ground("search", Answer.NO, 0.0, "Nobody searches."),
            Ground("trusted", Answer.UNKNOWN, 0.0, "There is no trusted source."),
        ),
        log_evidence=15.2,
        error=0.010001,
        promise="at most one false alarm in 1,000,000 events",
        advice="Contain the principals.",
    )
    return replace(alarm, **changes)


@pytest.fixture(scope="session")
def make_alarm() -> Callable[..., Alarm]:
    return build_alarm
