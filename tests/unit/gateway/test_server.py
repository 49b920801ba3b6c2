import asyncio
import json
import urllib.error
import urllib.request

import pytest

from bartizan.alarms import Alarm, Cause
from bartizan.config import from_mapping
from bartizan.console.routes import routes
from bartizan.errors import ConfigError
from bartizan.gateway.server import Gateway, _id_maker
from bartizan.gateway.turns import TurnWatching


def config(tmp_path, **changes):
    systems = [
        {"name": "assistant", "kind": "chat", "upstream": {"url": "http://127.0.0.1:9"}},
        {"name": "digits", "kind": "predict", "upstream": {"url": "http://127.0.0.1:9"}},
    ]
    base = {"systems": systems, "data": {"port": 0}, "admin": {"port": 0}, "drain_s": 2}
    return from_mapping(base | changes, base=tmp_path)


def test_ids_sort_by_time_and_do_not_repeat():
    now = [1_000.0]
    make = _id_maker(lambda: now[0])
    first = [make() for _ in range(1_000)]
    now[0] += 1
    assert max(first) < make()
    assert len(set(first)) == 1_000


def test_both_planes_come_up_say_how_they_are_and_go_down(tmp_path, monkeypatch):
    monkeypatch.setenv("BARTIZAN_ADMIN_TOKEN", "a-token-of-some-length")
    gateway = Gateway(config(tmp_path), console=routes)
    seen = {}

    def ask(port, path, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    async def run():
        stop, ports = asyncio.Event(), asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(gateway.serve(stop, lambda *p: ports.set_result(p)))
        data, admin = await ports
        for path in ("/livez", "/readyz", "/api/v1/status", "/metrics", "/console/"):
            seen[path] = await asyncio.to_thread(ask, admin, path)
            seen[path, "token"] = await asyncio.to_thread(ask, admin, path, gateway.token)
        seen["admin on data plane"] = await asyncio.to_thread(ask, data, "/livez")
        stop.set()
        await serving

    asyncio.run(run())
    assert seen["/livez"][0] == seen["/readyz"][0] == 200
    assert seen["/api/v1/status"][0] == seen["/metrics"][0] == 401
    status = json.loads(seen["/api/v1/status", "token"][1])["gateway"]
    assert {s["name"]: len(s["cells"]) for s in status["systems"]} == {"assistant": 3, "digits": 0}
    assert all(not d["calibrated"] for d in status["systems"][1]["detectors"])
    assert b"bartizan_in_flight" in seen["/metrics", "token"][1]
    assert seen["/console/", "token"][0] == 200
    assert seen["admin on data plane"][0] == 404
    assert not gateway.store.health().writable


def test_a_port_in_use_is_an_error_with_a_hint(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway = Gateway(config(tmp_path, data={"port": taken.getsockname()[1]}))
        with pytest.raises(ConfigError) as caught:
            asyncio.run(gateway.serve(asyncio.Event()))
        assert "port" in caught.value.hint


def test_what_cannot_be_built_leaves_the_store_closed(tmp_path):
    broken = config(
        tmp_path,
        systems=[{"name": "d", "kind": "predict", "mode": "enforce", "upstream": {"url": "http://x.test"}}],
    )
    with pytest.raises(ConfigError):
        Gateway(broken)
    Gateway(config(tmp_path)).store.close()


def test_letting_a_contained_principal_go_is_recorded(tmp_path):
    gateway = Gateway(config(tmp_path))
    watching = gateway.systems[1].watching
    told = Alarm("al-1", "digits", 1.0, 9, Cause.ATTACK, 0.5, 4, (), ("mallory",), (), 14.0, 0.001, "", "")
    watching.on_alarm(told)
    assert isinstance(gateway.systems[0].watching, TurnWatching)
    assert gateway.release("alice", None) == ()
    assert gateway.release("mallory", "assistant") == ()
    assert gateway.release("mallory", None) == ("digits",)
    assert gateway.release("mallory", None) == ()
    gateway.store.flush()
    (record,) = gateway.store.records()
    assert (record.rule, record.protocol, record.principal.id) == ("released", "admin", "mallory")
    assert gateway.status().systems[1].watch.contained == ()
    assert gateway.status().checks["monitoring of digits"] == "ok"
    gateway.store.close()
