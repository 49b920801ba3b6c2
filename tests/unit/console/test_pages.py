"""Every page, with content that attacks it."""

from __future__ import annotations

import importlib.resources
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

PAGES = {
    "/console/": "Overview",
    "/console/?range=7d": "Overview",
    "/console/?range=nonsense": "Overview",
    "/console/live": "Live",
    "/console/events": "Events",
    "/console/events?effect=block": "Events",
    "/console/events/ex-1": "Exchange ex-1",
    "/console/events/ex-hostile": "Exchange ex-hostile",
    "/console/streams": "Streams: fraud",
    "/console/streams/fraud?range=1h&stream=missing": "Streams: fraud",
    "/console/alarms": "Alarms",
    "/console/alarms?cause=attack&system=fraud": "Alarms",
    "/console/alarms/al-attack": "Alarm al-attack",
    "/console/alarms/al-swap": "Alarm al-swap",
    "/console/alarms/al-drift": "Alarm al-drift",
    "/console/principals/key-1": "Principal key-1",
    "/console/calibration": "Calibration",
    "/console/calibration/fraud": "Calibration",
}
ASSETS = {"/console/static/console.css", "/console/static/live.js"}
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """Reads a page the way a browser would, and notes what matters."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.unbalanced: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.text += data

    def named(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture(params=PAGES)
def page(request, client):
    answer = client.get(request.param)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert PAGES[request.param] in " ".join(Page(answer.text).text.split())
    return Page(answer.text)


def test_pages_are_well_formed(page):
    assert page.unbalanced == []
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_nothing_on_a_page_runs_or_is_fetched_but_our_own(page):
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
        for name in ("src", "href", "action"):
            if name in attrs:
                assert attrs[name].startswith(("/console", "/api/v1/", "/logout", "#", "?range=")), attrs
    assert {a["src"] for a in page.named("script")} <= ASSETS
    assert {a["href"] for a in page.named("link")} <= ASSETS
    assert page.named("img", "iframe", "object", "style", "base") == []


def test_pages_can_be_used_without_eyes_or_mouse(page):
    for attrs in page.named("svg"):
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 10
    labels = {a["for"] for a in page.named("label")}
    assert {a["id"] for a in page.named("input", "select")} == labels
    assert [a for a in page.named("a") if a.get("class") == "skip"]
    assert len([tag for tag, _ in page.tags if tag == "h1"]) == 1
    assert all("scope" in a for a in page.named("th"))


def test_every_link_on_every_page_leads_somewhere(client):
    links = set()
    for path in PAGES:
        links |= {a["href"] for a in Page(client.get(path).text).named("a")}
    anchors = {link for link in links if link.startswith("#")}
    assert len(links) > 20
    for link in links - anchors:
        where = f"/console/streams{link}" if link.startswith("?") else link
        assert client.get(where).status_code == 200, link


def test_hostile_text_is_shown_and_inert(client):
    answer = client.get("/console/events/ex-hostile")
    page = Page(answer.text)
    assert page.named("script", "img") == []
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert "49" not in page.text.split("{{ 7 * 7 }}")[0][-20:]
    for hidden in ("\u202e", "\u200b", "\U000e0041"):
        assert hidden not in answer.text
    for shown in ("⟨U+202E⟩", "⟨U+200B⟩", "⟨U+E0041⟩"):
        assert shown in page.text


def test_hostile_text_is_inert_in_every_list(client):
    for path in ("/console/live", "/console/events", "/console/events?principal=%3Cscript%3E%E2%80%AE"):
        answer = client.get(path)
        assert "\u202e" not in answer.text
        assert "<script>alert" not in answer.text


def test_an_exchange_says_everything(client):
    text = " ".join(Page(client.get("/console/events/ex-hostile").text).text.split())
    for words in (
        "by rule false-alarm-rate, carried out",
        "1 in 4,200 benign",
        "score 9.5",
        "OWASP LLM01:2025",
        "AML.T0051.001",
        "characters 0–8, 56–66",
        "text.secrets gave no answer (timeout",
        "1 judged, 1 taken from memory, 1 not judged",
        "was not judged: an image",
        "900 µs added by Bartizan, 250 ms upstream",
        "Content is not kept for this system.",
        "d3" * 16,
        "77 characters",
        "2 rows",
        "120 of 121 under the last signed checkpoint",
        "Leaf hash",
    ):
        assert words in text, words


def test_spans_are_highlighted(client):
    source = client.get("/console/events/ex-hostile").text
    assert "<mark>&lt;script&gt;</mark>" in source


def test_no_proof_yet_is_said(client, store):
    store.sealed = False
    assert "No proof yet: the record is not under a checkpoint yet" in client.get("/console/events/ex-1").text


def test_observe_is_told_from_enforce(client, store):
    blocked = store.record("ex-hostile")
    from bartizan.types import Effect

    store.kept.append(replace(blocked, id="ex-observed", enforced=Effect.ALLOW))
    assert (
        "by rule <strong>false-alarm-rate</strong>, not carried out"
        in client.get("/console/events/ex-observed").text
    )


def test_the_overview_says_what_is_promised_and_kept(client):
    text = " ".join(Page(client.get("/console/").text).text.split())
    for words in (
        "certified to 1 in 1,000 by 12,000 benign messages",
        "generic table: no guarantee on your traffic yet",
        "not calibrated: nothing here can be flagged by its p-value",
        "1 in 1,125 (8 of 9,000)",
        "0.04% – 0.175%",
        "enforce: verdicts are carried out",
        "observe: verdicts are only recorded",
        "https://llm.example.com/v1",
        "121, of which 121 are under a signed checkpoint",
        "calibration: assistant: response is not calibrated",
        "900 µs",
        "3 contained after alarms.",
    ):
        assert words in text, words


def test_the_table_beside_the_traffic_says_the_same(client):
    source = client.get("/console/?range=1h").text
    table = source[source.index("The same as a table") :]
    table = table[table.index("<tbody>") : table.index("</tbody>")]
    rows = [
        [int(w) for w in Page(row.replace("<", " <")).text.split()[3:]] for row in table.split("<tr>")[1:]
    ]
    assert [sum(column) for column in zip(*rows, strict=True)] == [121, 120, 0, 0, 1]
    assert "Traffic of the last 1h: 121 exchanges, 1 not allowed." in source


def test_pages_of_events_follow_each_other(client):
    seen, address = [], "/console/events?system=assistant"
    while address:
        page = Page(client.get(address).text)
        seen += [a["href"] for a in page.named("a") if a["href"].startswith("/console/events/")]
        address = next((a["href"] for a in page.named("a") if a.get("rel") == "next"), None)
    assert len(seen) == len(set(seen)) == 121


def test_a_bad_filter_is_an_error_that_says_so(client):
    answer = client.get("/console/events?effect=explode")
    assert answer.status_code == 400
    assert "must be allow, redact, hold or block" in answer.text


@pytest.mark.parametrize(
    "path", ["/console/events/none", "/console/events/" + "x" * 3000, "/console/calibration/none"]
)
def test_what_is_not_there_is_404(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text


def test_the_calibration_page_counts(client, store):
    store.p = [0.0005] * 30 + [(i + 1) / 1000 for i in range(1000)]
    text = " ".join(Page(client.get("/console/calibration/assistant").text).text.split())
    assert "P-values of the newest 1,030 exchanges" in text
    assert "more than chance" in text
    store.p = []
    assert "No p-values yet in this cell." in client.get("/console/calibration/assistant").text


def test_pages_need_a_known_caller_but_the_style_sheet_does_not(client):
    for path in PAGES:
        answer = client.get(path, headers={"authorization": "", "accept": "text/html"})
        assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next="), path
    for path in ASSETS:
        assert client.get(path, headers={"authorization": ""}).status_code == 200
    assert client.get("/console/static/../routes.py", headers={"authorization": ""}).status_code in (401, 404)


def test_sign_out_is_offered_to_sessions_only(client):
    assert "/logout" not in client.get("/console/").text
    client.headers.pop("authorization")
    client.post("/login", data={"token": "an-admin-token-for-tests"})
    assert 'action="/logout"' in client.get("/console/").text


def test_our_module_never_writes_markup():
    module = (importlib.resources.files("bartizan.console") / "static/live.js").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "import ",
    ):
        assert word not in module
    assert "textContent" in module


def test_a_real_store_is_shown_the_same(store, tmp_path):
    from hashlib import sha256

    from starlette.testclient import TestClient

    from bartizan.console.routes import routes
    from bartizan.gateway.admin import build_admin
    from bartizan.gateway.status import GatewayStatus
    from bartizan.store import Store, StoreSettings

    def status():
        return GatewayStatus("0.1.0", 0.0, ready=True)

    now = store.kept[-1].time + 60
    with Store(StoreSettings(path=tmp_path), lambda: now) as real:
        receipts = [real.receipt(record) for record in store.kept[-3:]]
        real.flush()
        app = build_admin(
            store=real,
            status=status,
            token=None,
            metrics=bytes,
            clock=lambda: now,
            console=routes(real, status, lambda: now),
        )
        client = TestClient(app, base_url="http://localhost")
        page = client.get("/console/events/ex-hostile").text
        assert receipts[-1].leaf in page
        assert sha256(b"\0" + real.prove("ex-hostile").record.encode()).hexdigest() == receipts[-1].leaf
        assert "⟨U+202E⟩" in page
        assert "<script>alert" not in page
        assert "3 exchanges, 1 not allowed" in client.get("/console/").text
        assert client.get("/console/events?detector=text.hidden").text.count("Exchange ex-") == 1
        assert client.get("/console/live").text.count("Exchange ex-") == 3


def test_nothing_is_configured_yet(client, store, monkeypatch):
    from starlette.testclient import TestClient

    from bartizan.console.routes import routes
    from bartizan.gateway.admin import build_admin
    from bartizan.gateway.status import GatewayStatus

    def empty():
        return GatewayStatus("0.1.0", 0.0, False)

    store.kept, store.p = [], []
    app = build_admin(
        store=store,
        status=empty,
        token=None,
        metrics=bytes,
        clock=lambda: 9e8,
        console=routes(store, empty, lambda: 9e8),
    )
    bare = TestClient(app, base_url="http://localhost")
    for path in ("/console/", "/console/live", "/console/events", "/console/calibration"):
        answer = bare.get(path)
        assert answer.status_code == 200
        assert "No " in answer.text
