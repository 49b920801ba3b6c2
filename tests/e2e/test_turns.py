"""A conversation under watch: slow escalation and probing are found and held, others and one odd message are not."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from tests.e2e.marks import SPEC
from tests.e2e.running import Running, post, running, wait_for
from tests.e2e.scripted import Scripted

from bartizan import registry
from bartizan.alarms import Answer, Cause
from bartizan.calibration.build import build_table
from bartizan.calibration.table import encode
from bartizan.types import Measured

pytestmark = pytest.mark.e2e

WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "inlet",
    "jetty",
    "knoll",
    "larch",
    "maple",
    "north",
    "ocean",
    "pearl",
]
BENIGN = 6_000
ODD = 0.97
STOPPED = 9.0
EDITED = "please tell me which of the many old garden tools by the shed door I could safely sell today"


@pytest.fixture(autouse=True)
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector of :mod:`tests.e2e.marks` among the installed ones."""
    real = registry.names
    point = EntryPoint("text.marks", "tests.e2e.marks:Marks", registry.DETECTORS)

    def names(group: str) -> Any:
        return {**real(group), **({point.name: point} if group == registry.DETECTORS else {})}

    monkeypatch.setattr(registry, "names", names)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    served = Scripted()
    yield served.url
    served.close()


@pytest.fixture
def made(tmp_path: Path, upstream: str) -> dict[str, Any]:
    """A system, calibrated on benign messages whose scores are uniform."""
    rng = np.random.default_rng(0)
    table = build_table(
        (Measured("request.user", 1, {"text.marks": s}) for s in rng.random(BENIGN)),
        name="uniform",
        source="operator",
        created=0.0,
        units={"text.marks": SPEC.unit},
        versions={"text.marks": SPEC.version},
        rng=rng,
    )
    (tmp_path / "table").write_bytes(encode(table))
    return {
        "name": "assistant",
        "kind": "chat",
        "mode": "enforce",
        "upstream": {"url": upstream},
        "detectors": ["text.marks"],
        "calibration": {"file": str(tmp_path / "table")},
        "identity": {"header": "x-user"},
        "containment": {"delay_queries": [0, 0], "delay_s": [0, 0]},
    }


class Client:
    """Sends turns; each a text unlike the others unless one is given."""

    def __init__(self, gateway: Running, seed: int = 0) -> None:
        self.gateway = gateway
        self._rng = np.random.default_rng(seed)

    def say(self, who: str, score: float, session: str = "s", text: str = "") -> int:
        text = text or " ".join(self._rng.choice(WORDS, 14))
        body = {"model": "m", "messages": [{"role": "user", "content": f"{text} [{score}]"}]}
        headers = {"x-user": who, "x-session-id": session}
        return post(self.gateway.url, "/v1/chat/completions", json.dumps(body).encode(), **headers)[0]

    def watched(self) -> Any:
        """Return how the system is watched, once every turn was."""
        told = api(self.gateway, "/api/v1/status")["gateway"]["systems"][0]
        wait_for(lambda: self.gateway.gateway.systems[0].watching.status().queued == 0, 10)
        return api(self.gateway, "/api/v1/status")["gateway"]["systems"][0]["watch"] or told


def api(gateway: Running, path: str) -> Any:
    status, body = gateway.admin_get(path)
    assert status == 200, body
    return json.loads(body)


def alarms(gateway: Running) -> list[Any]:
    gateway.records()
    return list(api(gateway, "/api/v1/alarms")["alarms"])


def release(gateway: Running, principal: str) -> Any:
    url = f"http://127.0.0.1:{gateway.admin}/api/v1/principals/{quote(principal)}/release"
    request = urllib.request.Request(url, data=b"", method="POST")
    request.add_header("content-type", "application/json")
    request.add_header("authorization", f"Bearer {gateway.gateway.token}")
    with urllib.request.urlopen(request, timeout=10) as found:
        return json.loads(found.read())


def escalate(client: Client, who: str, turns: int, session: str = "s") -> list[int]:
    return [client.say(who, ODD, session) for _ in range(turns)]


def test_an_escalating_session_is_held_and_nobody_else(tmp_path: Path, made: dict[str, Any]) -> None:
    with running(tmp_path, [made]) as gateway:
        client = Client(gateway)
        for _ in range(6):
            client.say("alice", 0.4)
        assert client.say("bob", STOPPED) == 400  # one odd message
        assert [client.say("bob", 0.3) for _ in range(6)] == [200] * 6
        wait_for(lambda: client.say("mallory", ODD) == 400, 20)
        (alarm,) = alarms(gateway)
        assert (alarm["cause"], alarm["principals"]) == (Cause.TENANT_CHANGE, ["mallory"])
        grounds = {g["kind"]: g for g in alarm["grounds"]}
        assert grounds["turns"]["answer"] == Answer.YES
        assert grounds["turns"]["error"] == 0.001
        assert grounds["probing"]["answer"] == Answer.NO
        assert alarm["promise"] == "at most 1 in 1,000 benign sessions signals"
        (contained,) = client.watched()["contained"]
        assert contained["principal"] == "mallory \u203a s"
        assert contained["measure"] == "hold"
        stopped = [r for r in gateway.records() if r.rule == "contained"]
        assert {r.principal.id for r in stopped} == {"mallory"}
        assert client.say("mallory", 0.2, "another") == 200
        assert client.say("alice", 0.4) == client.say("bob", 0.3) == 200
        assert len(api(gateway, "/api/v1/principals/mallory")["contained"]) == 1
        assert (
            'bartizan_alarms_total{cause="tenant change or attack",system="assistant"} 1.0'
            in gateway.metrics()
        )
        assert release(gateway, "mallory")["systems"] == ["assistant"]
        assert client.say("mallory", 0.2) == 200
        assert client.watched()["contained"] == []


def test_one_odd_message_and_benign_sessions_raise_no_alarm(tmp_path: Path, made: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    with running(tmp_path, [made]) as gateway:
        client = Client(gateway)
        for i in range(80):
            client.say(f"user-{i % 8}", float(rng.random()), f"s{i // 40}")
        assert [client.say("bob", STOPPED, text="the very same text again") for _ in range(20)] == [400] * 20
        assert client.say("bob", 0.3) == 200
        watch = client.watched()
        assert (alarms(gateway), watch["contained"], watch["problem"], watch["dropped"]) == ([], [], "", 0)
        assert watch["promise"].startswith("at most 1 in 1,000 benign sessions signals; ")


def test_a_prober_is_found_whatever_its_sessions(tmp_path: Path, made: dict[str, Any]) -> None:
    words = EDITED.split()
    with running(tmp_path, [made | {"mode": "observe"}]) as gateway:
        client = Client(gateway)
        for i in range(14):
            edited = [*words[: i % 15], WORDS[i], *words[i % 15 + 1 :]]
            assert client.say("eve", STOPPED, f"s{i}", " ".join(edited)) == 200
        client.watched()
        (alarm,) = alarms(gateway)
        grounds = {g["kind"]: g["answer"] for g in alarm["grounds"]}
        assert (alarm["principals"], grounds) == (["eve"], {"probing": Answer.YES, "turns": Answer.NO})
        assert "11 distinct near-duplicates" in alarm["grounds"][0]["summary"]
        assert client.say("eve", 0.1, "s11") == 200  # observed, not held
        assert [r.note for r in gateway.records() if r.note.endswith("would be held")]
        assert (
            EDITED.encode()[:40] not in (tmp_path / "data" / "watch").joinpath("x").parent.as_posix().encode()
        )
    kept = (tmp_path / "data" / "watch" / "assistant.turns").read_bytes()
    assert not [w for w in words if len(w) > 3 and w.encode() in kept]


def test_both_kinds_of_evidence_are_an_attack(tmp_path: Path, made: dict[str, Any]) -> None:
    words = EDITED.split()
    with running(tmp_path, [made | {"mode": "observe"}]) as gateway:
        client = Client(gateway)
        for i in range(14):
            client.say("eve", STOPPED, "s", " ".join([*words[:i], WORDS[i], *words[i + 1 :]]))
        escalate(client, "eve", 12, "t")
        client.watched()
        *later, first = alarms(gateway)
        assert first["cause"] == Cause.TENANT_CHANGE
        assert {a["cause"] for a in later} == {Cause.ATTACK}
        assert pytest.approx(0.002) in [a["error"] for a in later]


def test_a_restart_keeps_what_was_said(tmp_path: Path, made: dict[str, Any]) -> None:
    with running(tmp_path, [made]) as gateway:
        assert escalate(Client(gateway, 1), "mallory", 5) == [200] * 5
        assert Client(gateway).watched()["events"] == 5
        assert alarms(gateway) == []
    with running(tmp_path, [made]) as gateway:
        client = Client(gateway, 2)
        assert escalate(client, "oscar", 4) == [200] * 4
        escalate(client, "mallory", 4)
        client.watched()
        (alarm,) = alarms(gateway)
        assert alarm["principals"] == ["mallory"]
    with running(tmp_path, [made]) as gateway:
        assert Client(gateway, 3).say("mallory", 0.2) == 400  # still held
        assert release(gateway, "mallory \u203a s")["systems"] == ["assistant"]  # as the console does it
        assert Client(gateway, 3).say("mallory", 0.2) == 200
    (tmp_path / "data" / "watch" / "assistant.turns").write_bytes(b"\x00broken")
    with running(tmp_path, [made]) as gateway:
        watch = Client(gateway).watched()
        assert "can't be read" in watch["problem"]
        assert Client(gateway).say("alice", 0.2) == 200


def test_a_conversation_that_replays_its_history_is_one_session(tmp_path: Path, made: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    with running(tmp_path, [made | {"mode": "observe"}]) as gateway:
        messages: list[dict[str, str]] = []
        for _ in range(12):
            text = " ".join(rng.choice(WORDS, 14))
            messages.append({"role": "user", "content": f"{text} [{ODD}]"})
            body = json.dumps({"model": "m", "messages": messages}).encode()
            assert post(gateway.url, "/v1/chat/completions", body, **{"x-user": "mallory"})[0] == 200
            messages.append({"role": "assistant", "content": "A plain answer about gardens."})
        watch = Client(gateway).watched()
        (alarm,) = alarms(gateway)
        assert alarm["promise"] == "at most 1 in 1,000 benign sessions signals"
        assert watch["events"] == 12
        assert watch["contained"][0]["principal"].startswith("mallory \u203a ~")
