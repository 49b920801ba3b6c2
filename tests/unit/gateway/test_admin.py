"""The admin plane: who gets in, what the API answers, and whether its description is true."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from bartizan.alarms import Alarm, Answer, Cause, Ground, StreamShare
from bartizan.errors import ConfigError, LedgerError
from bartizan.gateway import auth
from bartizan.gateway.admin import build_admin
from bartizan.gateway.gate import host_name
from bartizan.gateway.status import (
    CellStatus,
    ContainedStatus,
    DetectorStatus,
    GatewayStatus,
    StreamStatus,
    SystemStatus,
    WatchStatus,
)
from bartizan.store import Store, StoreSettings, StreamPoint
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

NOW = 1_767_323_040.0
TOKEN = "an-admin-token-for-tests"
BEARER = {"authorization": f"Bearer {TOKEN}"}
API = (
    "/api/v1/status",
    "/api/v1/events",
    "/api/v1/traffic",
    "/api/v1/alarms",
    "/api/v1/principals/key-2",
    "/metrics",
    "/openapi.json",
)


def record(
    id: str, effect: Effect = Effect.ALLOW, time: float = NOW - 100, principal: str = "key-1"
) -> Record:
    finding = Finding(
        "text.hidden",
        3.5,
        PValue(0.001, 5000, "ab"),
        "/messages/0/content",
        None,
        Evidence("controls", ((0, 2),)),
        effect,
        ("AML.T0051",),
    )
    verdict = Verdict(
        effect,
        "false-alarm-rate" if effect else "none",
        Mode.ENFORCE,
        PValue(0.001 if effect else 0.5, 5000, "ab"),
        0.01,
        (finding,) if effect else (),
        (Fault("text.secrets", FaultReason.TIMEOUT),),
        Coverage(judged=("/messages/0/content",), unjudged=(Unjudged("/messages/1", "image"),)),
        Measured("request.user", 1, {"text.hidden": 3.5}),
    )
    part = PartSummary("/messages/0/content", PartKind.TEXT, Origin.WEB, "d" * 32, 5, content="hello")
    return Record(
        id=id,
        time=time,
        system="assistant",
        protocol="openai-chat",
        principal=Principal(principal, "api-key", "s-1"),
        model="small",
        effect=effect,
        enforced=effect,
        rule=verdict.rule,
        p_value=verdict.p_value.value,
        status=403 if effect is Effect.BLOCK else 200,
        stream=False,
        added_us=700,
        upstream_us=90_000,
        steps=(StepRecord(Step.REQUEST, verdict, (part,)),),
    )


def status(*, ready: bool = True) -> GatewayStatus:
    cell = CellStatus("request.user", 5000, "ab", "operator", 0.01, 0.01, 1, 7, 1 / 7, 0.004, 0.58)
    detector = DetectorStatus("text.hidden", "stable", calibrated=True, inline=True, p50_us=30, p99_us=90)
    system = SystemStatus(
        "assistant",
        "chat",
        Mode.ENFORCE,
        "https://llm.example.com",
        ("openai-chat",),
        0.01,
        (cell,),
        (detector,),
        WatchStatus(
            baseline="d1",
            streams=(StreamStatus("input.amount", 1.0, 13.8),),
            contained=(
                ContainedStatus("a/b c", "hold", "hold", "attack", "al-1", NOW - 50, NOW - 40, NOW + 9),
                ContainedStatus("", "hold", "hold", "model changed", "al-3", NOW - 50, NOW - 40, None),
            ),
        ),
    )
    return GatewayStatus("0.1.0", NOW - 60, ready, {"store": "ok" if ready else "spooling"}, (system,), 1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(StoreSettings(path=tmp_path_factory.mktemp("store")), lambda: NOW) as store:
        for i in range(7):
            effect = Effect.BLOCK if i == 3 else Effect.ALLOW
            store.append(record(f"ex-{i}", effect, NOW - 100 + i, "key-2" if i == 5 else "key-1"))
        told = Alarm(
            "al-1", "assistant", NOW - 50, 9, Cause.ATTACK, NOW - 80, 4,
            (StreamShare("input.amount", 1.0, "higher"),), ("key-2", "a/b c"),
            (Ground("global", Answer.YES, 1e-6, "It changed.", 0.002),), 14.0, 0.001, "", "Look.",
        )  # fmt: skip
        store.append_alarm(replace(told, cause=Cause.UNDETERMINED, principals=()))
        store.append_alarm(replace(told, id="al-2", system="other", time=NOW - 40))
        store.append_alarm(told)
        store.add_points([StreamPoint("assistant", "all streams", int(NOW) - 120, 1.0, 2.0, 13.8, None, 7)])
        store.flush()
        yield store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(store, clock):
    def make(*, headers=None, raises=True, address="192.0.2.1", base="http://localhost", **changes):
        options = {
            "store": store,
            "status": status,
            "token": TOKEN,
            "metrics": lambda: b"bartizan_build_info 1\n",
            "clock": clock,
            "console": [Route("/console/", lambda _: PlainTextResponse("page"))],
        } | changes
        return TestClient(
            build_admin(**options),
            base_url=base,
            headers=headers,
            follow_redirects=False,
            raise_server_exceptions=raises,
            client=(address, 4321),
        )

    return make


@pytest.fixture
def client(build):
    return build(headers=BEARER)


# Who gets in


@pytest.mark.parametrize("path", [*API, "/api/v1/events/ex-1", "/api/v1/calibration/assistant", "/nowhere"])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer wrong-token-wrong-token",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer ",
        f"Bearer {TOKEN}x",
        "Bearer é",
    ],
)
def test_without_the_token_nothing_is_told_apart(build, path, authorization):
    headers = {"authorization": authorization.encode()} if authorization else {}
    answer = build().get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", API)
def test_the_token_opens_everything(client, path):
    assert client.get(path).status_code == 200


def test_a_short_token_is_refused_at_start(build):
    for token in ("", "x" * (auth.MIN_TOKEN_LENGTH - 1)):
        with pytest.raises(ConfigError):
            build(token=token)


def test_no_token_has_to_be_chosen_explicitly(build):
    assert build(token=None).get("/api/v1/status").status_code == 200


@pytest.mark.parametrize("host", ["evil.example.org", "localhost.example.org", "169.254.0.1:9090", ""])
def test_a_rebound_host_name_is_refused_even_with_the_token(client, host):
    assert client.get("/api/v1/status", headers={"host": host}).status_code == 421
    assert client.post("/login", headers={"host": host}).status_code == 421


def test_known_host_names_pass_with_and_without_port(build):
    client = build(headers=BEARER, hosts=("admin.example.com", "[::1]"))
    for host in ("admin.example.com", "Admin.Example.com:9090", "[::1]:9090"):
        assert client.get("/api/v1/status", headers={"host": host}).status_code == 200
    assert client.get("/api/v1/status", headers={"host": "localhost"}).status_code == 421
    assert build(headers=BEARER, hosts=("*",)).get("/api/v1/status", headers={"host": "x"}).status_code == 200


def test_host_name_survives_malformed_values():
    assert [host_name(h) for h in ("[::1", "a:b:c", "", "]")] == ["[::1]", "a", "", "]"]


def test_probes_answer_under_any_host_and_say_no_more_than_yes_or_no(build):
    client = build(status=lambda: status(ready=False))
    for path, code, text in (
        ("/livez", 200, "ok"),
        ("/readyz", 503, "not ready"),
        ("/healthz", 503, "not ready"),
    ):
        answer = client.get(f"{path}?verbose", headers={"host": "10.0.0.7:9090"})
        assert (answer.status_code, answer.text) == (code, text)
    answer = client.get("/readyz?verbose", headers=BEARER)
    assert answer.text == "[-] store: spooling\nnot ready"
    assert build(headers=BEARER).get("/readyz?verbose").text == "[+] store: ok\nok"


def test_metrics_can_be_opened(build):
    answer = build(metrics_open=True).get("/metrics")
    assert answer.text == "bartizan_build_info 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


# Sessions


def sign_in(client, token=TOKEN, **fields):
    return client.post("/login", data={"token": token, **fields})


def test_signing_in_and_out(build):
    client = build()
    assert (
        client.get("/console/", headers={"accept": "text/html"}).headers["location"]
        == "/login?next=%2Fconsole%2F"
    )
    answer = sign_in(client, next="/console/live")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/live")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert client.get("/console/").text == "page"
    assert client.get("/api/v1/status").status_code == 200
    stolen = dict(client.cookies)
    assert client.post("/logout").headers["location"] == "/login"
    assert build().get("/api/v1/status", cookies=None).status_code == 401
    client.cookies.update(stolen)
    assert client.get("/api/v1/status").status_code == 401


def test_the_cookie_is_secure_over_tls(build):
    assert "Secure" in sign_in(build(base="https://localhost")).headers["set-cookie"]
    assert "Secure" not in sign_in(build()).headers["set-cookie"]


def test_a_session_ends(build, clock):
    client = build()
    sign_in(client)
    clock.now += auth.SESSION_SECONDS - 1
    assert client.get("/api/v1/status").status_code == 200
    clock.now += 2
    assert client.get("/api/v1/status").status_code == 401


def test_sessions_are_bounded(clock):
    names = iter(range(10_000))
    sessions = auth.Sessions(clock, lambda: f"s{next(names)}")
    opened = [sessions.open() for _ in range(auth.MAX_SESSIONS + 1)]
    assert not sessions.valid(opened[0])
    assert all(sessions.valid(name) for name in opened[1:])


def test_failed_logins_are_slowed_down_per_address(build, clock):
    app = build().app
    client = TestClient(app, base_url="http://localhost", client=("192.0.2.1", 1), follow_redirects=False)
    other = TestClient(app, base_url="http://localhost", client=("192.0.2.2", 1), follow_redirects=False)
    assert [sign_in(client, "wrong").status_code for _ in range(auth.MAX_FAILURES)] == [
        401
    ] * auth.MAX_FAILURES
    late = sign_in(client)
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= auth.FAILURE_WINDOW_SECONDS
    assert sign_in(other).status_code == 303
    clock.now += auth.FAILURE_WINDOW_SECONDS + 1
    assert sign_in(client).status_code == 303


def test_failure_counts_are_bounded(clock):
    failures = auth.Failures(clock)
    for i in range(auth.MAX_ADDRESSES + 10):
        failures.add(str(i))
    assert len(failures._windows) == auth.MAX_ADDRESSES


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example.org"},
        {"origin": "null"},
        {"origin": "http://[broken"},
        {"origin": "http://localhost:1"},
    ],
)
def test_forms_of_other_sites_are_refused(build, headers):
    client = build()
    assert client.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403
    sign_in(client)
    assert client.post("/logout", headers=headers).status_code == 403
    assert client.get("/api/v1/status").status_code == 200


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://localhost"}, {}])
def test_our_own_form_is_accepted(build, headers):
    assert build().post("/login", data={"token": TOKEN}, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.org/",
        "//evil.example.org",
        "/console//evil.example.org",
        "/console/\\evil",
        "/console/\r\nx: y",
        "javascript:alert(1)",
        "",
    ],
)
def test_login_leads_only_to_the_console(build, target):
    assert sign_in(build(), next=target).headers["location"] == "/console/"
    page = build().get("/login", params={"next": f'/console/"><script>{target}'})
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"token=" + b"x" * 5000, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"a=1&b=2&c=3&d=4&e=5", "application/x-www-form-urlencoded"),
        (b"token=\xff", "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_login_form(build, body, kind):
    assert build().post("/login", content=body, headers={"content-type": kind}).status_code == 400


def test_every_answer_carries_the_security_headers(build):
    client = build(headers=BEARER, raises=False, status=lambda: 1 / 0)
    cases = {"/livez": 200, "/login": 200, "/console/": 200, "/nowhere": 404, "/readyz": 500, "/": 307}
    cases |= {"/api/v1/events?limit=0": 400, "/api/v1/events": 200}
    for path, code in cases.items():
        answer = client.get(path)
        assert answer.status_code == code, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" in client.get("/", headers={"host": "evil.example.org"}).headers


# What the API answers


def test_events_are_filtered_and_paged(client):
    first = client.get("/api/v1/events?limit=3").json()
    assert [e["id"] for e in first["events"]] == ["ex-6", "ex-5", "ex-4"]
    rest = client.get(f"/api/v1/events?limit=500&before={first['next_before']}").json()
    assert [e["id"] for e in rest["events"]] == ["ex-3", "ex-2", "ex-1", "ex-0"]
    assert rest["next_before"] is None
    for query, ids in {
        "effect=redact": ["ex-3"],
        "principal=key-2": ["ex-5"],
        "detector=text.hidden": ["ex-3"],
        "system=other": [],
        f"since={NOW - 95}": ["ex-6", "ex-5"],
        "until=2026-01-02T03:02:21Z": ["ex-0"],
    }.items():
        assert [e["id"] for e in client.get(f"/api/v1/events?{query}").json()["events"]] == ids, query


def test_one_event_its_proof_and_what_there_is_not(client):
    event = client.get("/api/v1/events/ex-3").json()
    assert event["effect"] == "block"
    assert event["steps"][0]["parts"][0]["origin"] == "web"
    assert event["steps"][0]["verdict"]["findings"][0]["evidence"]["spans"] == [[0, 2]]
    assert json.loads(client.get("/api/v1/events/ex-3/proof").json()["record"])
    for path in ("/api/v1/events/none", "/api/v1/events/none/proof", "/api/v1/calibration/none"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["title"] == "Not Found"


def test_traffic_and_calibration(client):
    traffic = client.get("/api/v1/traffic").json()
    assert sum(b["count"] for b in traffic["buckets"]) == 7
    assert {b["effect"] for b in traffic["buckets"]} == {"allow", "block"}
    cells = client.get("/api/v1/calibration/assistant?limit=5").json()["cells"]
    assert len(cells[0]["p_values"]) == 5
    assert cells[0]["status"]["promised"] == 0.01


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("limit=" + "9" * 10_000, "limit"),
        ("limit=1&limit=2", "limit"),
        ("before=-1", "before"),
        ("before=١", "before"),
        ("effect=explode", "effect"),
        ("since=yesterday", "since"),
        ("since=nan", "since"),
        ("since=1e300", "since"),
        ("until=2026-01-01T00:00", "until"),
        ("principal=", "principal"),
        ("principal=" + "x" * 600, "principal"),
        ("color=red", "color"),
    ],
)
def test_a_bad_parameter_is_named(client, query, parameter):
    answer = client.get(f"/api/v1/events?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == parameter


def test_traffic_is_bounded(client):
    for query in ("since=0", f"since={NOW}&until={NOW - 5}"):
        assert client.get(f"/api/v1/traffic?{query}").json()["parameter"] == "since"


# Alarms and who is contained


def test_alarms_are_listed_as_they_were_told_last(client):
    def ids(query=""):
        return [a["id"] for a in client.get(f"/api/v1/alarms{query}").json()["alarms"]]

    assert ids() == ["al-1", "al-2"]
    assert ids("?system=assistant") == ids("?limit=1") == ["al-1"]
    assert ids("?cause=undetermined") == []
    assert ids("?principal=key-2") == ["al-1", "al-2"]
    assert ids(f"?since={NOW - 45}") == ["al-2"]
    for query in ("cause=malice", "limit=501", "color=red"):
        assert client.get(f"/api/v1/alarms?{query}").status_code == 400


def test_one_alarm_how_it_was_told_before_and_its_proof(client):
    report = client.get("/api/v1/alarms/al-1").json()
    assert report["alarm"]["cause"] == "attack"
    assert report["alarm"]["grounds"][0]["answer"] == "yes"
    assert [a["cause"] for a in report["earlier"]] == ["undetermined"]
    assert '"attack"' in client.get("/api/v1/alarms/al-1/proof").json()["record"]
    for path in ("alarms/none", "alarms/none/proof", "alarms/ex-1", "streams/none", "principals/none"):
        assert client.get(f"/api/v1/{path}").status_code == 404


def test_a_principal_with_everything_about_it(client):
    report = client.get("/api/v1/principals/a/b%20c").json()
    assert report["principal"] == "a/b c"
    assert [(c["system"], c["contained"]["measure"]) for c in report["contained"]] == [("assistant", "hold")]
    assert [a["id"] for a in report["alarms"]] == ["al-1", "al-2"]
    assert [e["id"] for e in client.get("/api/v1/principals/key-2").json()["events"]] == ["ex-5"]
    assert client.get("/api/v1/principals/" + "x" * 5000).status_code == 404


def test_streams_by_the_minute(client):
    report = client.get("/api/v1/streams/assistant").json()
    assert [(p["stream"], p["highest"]) for p in report["points"]] == [("all streams", 2.0)]
    assert report["watch"]["streams"][0]["threshold"] == 13.8


@pytest.fixture
def releasing(build):
    asked = []

    def release(principal, system):
        asked.append((principal, system))
        return ("assistant",) if principal in ("a/b c", "") else ()

    return lambda **more: build(release=release, **more), asked


def test_letting_a_principal_go(releasing):
    make, asked = releasing
    client = make(headers=BEARER)
    answer = client.post("/api/v1/principals/a%2Fb%20c/release?system=assistant")
    assert answer.json() == {"principal": "a/b c", "systems": ["assistant"]}
    assert client.post("/api/v1/systems/assistant/release").json()["systems"] == ["assistant"]
    assert asked == [("a/b c", "assistant"), ("", "assistant")]
    assert client.post("/api/v1/principals/alice/release").status_code == 404
    assert client.post("/api/v1/principals/a/release?system=none").status_code == 404
    assert client.post("/api/v1/systems/none/release").status_code == 404
    assert client.get("/api/v1/systems/assistant/release").status_code == 405


def test_nobody_lets_a_principal_go_without_the_token_or_from_another_site(releasing):
    make, asked = releasing
    path = "/api/v1/principals/a%2Fb%20c/release"
    assert make().post(path).status_code == 401
    browser = make()
    sign_in(browser)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example.org"}):
        assert browser.post(path, headers=headers).status_code == 403
        assert make(headers=BEARER).post(path, headers=headers).status_code == 403
    assert asked == []
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    answer = browser.post(path, headers=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/principals/a%2Fb%20c")
    answer = browser.post("/api/v1/systems/assistant/release", headers=form)
    assert answer.headers["location"] == "/console/streams/assistant"
    assert len(asked) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_else_can_be_changed(client, method):
    for path in API:
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.json()["status"] == 405
        assert "GET" in answer.headers["allow"]


def test_a_crash_tells_nothing(build):
    def broken():
        raise RuntimeError("secret detail")

    answer = build(headers=BEARER, raises=False, status=broken).get("/api/v1/status")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_store_that_cannot_be_read_is_503(build, store):
    class Down:
        def __getattr__(self, name):
            def fail(*_, **__):
                raise LedgerError("the database is away")

            return fail

    assert build(headers=BEARER, store=Down()).get("/api/v1/events").status_code == 503


# Whether the description is true


def check(schema, value, root):
    """Raise unless ``value`` fits ``schema``; knows what our schemas use and no more."""
    known = {
        "$ref",
        "anyOf",
        "enum",
        "type",
        "properties",
        "required",
        "items",
        "prefixItems",
        "additionalProperties",
    }
    noise = {"title", "description", "default", "minItems", "maxItems"}
    assert set(schema) <= known | noise, set(schema) - known - noise
    if "$ref" in schema:
        node = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        return check(node, value, root)
    if "anyOf" in schema:
        assert any(fits(option, value, root) for option in schema["anyOf"])
        return None
    if "enum" in schema:
        assert value in schema["enum"]
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    kind = schema.get("type")
    if kind == "number":
        assert isinstance(value, int | float)
    elif kind:
        assert isinstance(value, types[kind]), (kind, value)
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties", not properties)
        for name, item in value.items():
            if name in properties:
                check(properties[name], item, root)
            else:
                assert rest is not False, name
                check(rest if isinstance(rest, dict) else {}, item, root)
    if isinstance(value, list):
        for i, item in enumerate(value):
            prefix = schema.get("prefixItems", [])
            rest = schema.get("items") or {}
            check(prefix[i] if i < len(prefix) else rest, item, root)
    return None


def fits(schema, value, root) -> bool:
    try:
        check(schema, value, root)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/api/v1/status", None),
        ("/api/v1/events", None),
        ("/api/v1/events/{id}", "/api/v1/events/ex-3"),
        ("/api/v1/events/{id}/proof", "/api/v1/events/ex-3/proof"),
        ("/api/v1/traffic", None),
        ("/api/v1/alarms", None),
        ("/api/v1/alarms/{id}", "/api/v1/alarms/al-1"),
        ("/api/v1/alarms/{id}/proof", "/api/v1/alarms/al-1/proof"),
        ("/api/v1/streams/{system}", "/api/v1/streams/assistant"),
        ("/api/v1/principals/{id}", "/api/v1/principals/a/b%20c"),
        ("/api/v1/calibration/{system}", "/api/v1/calibration/assistant"),
    ],
)
def test_answers_are_as_described(client, template, path):
    description = client.get("/openapi.json").json()
    schema = description["paths"][template]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    answer = client.get(path or template).json()
    check(schema, answer, description)
    if isinstance(answer, dict) and "effect" in answer:
        assert not fits(schema, answer | {"effect": 3}, description)


def test_problems_are_as_described(client):
    description = client.get("/openapi.json").json()
    responses = description["paths"]["/api/v1/events"]["get"]["responses"]
    schema = responses["400"]["content"]["application/problem+json"]["schema"]
    check(schema, client.get("/api/v1/events?limit=0").json(), description)


def test_every_route_is_described_and_every_description_has_a_route(client):
    description = client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    assert {"title", "version"} <= set(description["info"])
    pages = ("/login", "/logout", "/console", "/")
    served = {
        r.path.replace(":path}", "}")
        for r in client.app.routes
        if not (r.path == "/" or r.path.startswith(pages[:3]))
    }
    assert served == set(description["paths"])
    operations = [(p, o) for p, item in description["paths"].items() for o in item.values()]
    assert len({o["operationId"] for _, o in operations}) == len(operations)
    for path, operation in operations:
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == {s[1:-1] for s in path.split("/") if s.startswith("{")}
        assert all(p.get("required") for p in operation["parameters"] if p["in"] == "path")
        assert ("401" in operation["responses"]) == ("security" not in operation)
    open_paths = {p for p, o in operations if o.get("security") == []}
    assert open_paths == {"/livez", "/readyz", "/healthz"}


def test_no_reference_leads_nowhere(client):
    description = client.get("/openapi.json").json()
    names = set(description["components"]["schemas"])

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    found = set(references(description))
    assert found
    assert {r.removeprefix("#/components/schemas/") for r in found} <= names
