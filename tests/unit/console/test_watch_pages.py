"""Streams, alarms and principals, with content that attacks the pages."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from tests.unit.console.conftest import (
    NOW,
    PAYLOAD,
    TOKEN,
    MemoryStore,
    sample_alarm,
    sample_status,
)
from tests.unit.console.test_pages import Page

from bartizan.alarms import Cause
from bartizan.console.alarms import contained_views
from bartizan.console.routes import routes
from bartizan.gateway.admin import build_admin
from bartizan.gateway.status import ContainedStatus, WatchStatus
from bartizan.policy.containment import session_of


def text(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(Page(answer.text.replace("<t", " <t").replace("<d", " <d")).text.split())


def tables(client, path: str) -> list[list[str]]:
    """Return the cells of every body row, as text."""
    source = client.get(path).text
    bodies = [part.split("</tbody>")[0] for part in source.split("<tbody>")[1:]]
    rows = [row for body in bodies for row in body.split("<tr>")[1:]]
    return [
        [" ".join(Page(f"<td{cell}").text.split()) for cell in row.replace("<th", "<td").split("<td")[1:]]
        for row in rows
    ]


def test_streams_say_what_is_promised_watched_and_missed(client):
    shown = text(client, "/console/streams")
    for words in (
        "at most 1 false alarm per 1,000,000 events is expected",
        "6,000 events watched, 3 exchanges waiting, 4 alarms told",
        "7 exchanges were not watched: too many waited",
        "2 exchanges or events were not watched: the stream lacks <script>",
        "1 were let go early",
    ):
        assert words in shown, words


def test_streams_are_drawn_with_the_line_the_onset_and_a_table(client):
    source = client.get("/console/streams/fraud?range=6h").text
    drawn = Page(source)
    labels = [a["aria-label"] for a in drawn.named("svg")]
    assert labels[0] == "Evidence of all streams over time: largest 15.10, alarm at 13.80, 1 alarms."
    assert [label.split(" over")[0] for label in labels] == [
        "Evidence of all streams",
        "Evidence of input.amount",
        "Evidence of missing",
    ]
    classes = [a.get("class") for a in drawn.named("line")]
    assert classes.count("onset") == classes.count("raised") == 2  # the alarm is about two streams
    assert classes.count("rule dash") == 3
    assert source.count("The same as a table") == 3
    rows = {row[0]: row for row in tables(client, "/console/streams/fraud?range=6h") if len(row) == 6}
    assert rows["all streams"][1:3] == ["15.10", "13.80"]
    assert rows["missing"][1] == "0.40"


def test_a_stream_can_be_asked_for_and_ranges_keep_it(client, store):
    store.points += [
        p.__class__(p.system, f"input.f{i}", p.minute, p.last + i, p.highest + i, 13.8, None, 1)
        for p in store.points[-3:]
        for i in range(20)
    ]
    source = client.get("/console/streams/fraud?stream=missing").text
    headings = [part.split("<")[0] for part in source.split('<h3 id="stream-')[1:]]
    assert len(headings) == 9
    assert headings[1].endswith(">missing")
    assert 'href="?range=1h&amp;stream=missing"' in source
    assert "missing" not in client.get("/console/streams/fraud").text.split("All streams in this time")[0]


def test_nothing_watched_is_said(client, store):
    store.points = []
    assert "Nothing was watched in this time." in text(client, "/console/streams")


def test_a_system_that_is_not_watched_has_no_streams(client):
    for path in ("/console/streams/assistant", "/console/streams/none"):
        assert client.get(path).status_code == 404


def test_alarms_are_listed_as_they_were_told_last_and_filtered(client):
    def ids(query=""):
        return [row[6] for row in tables(client, f"/console/alarms{query}") if row[6].startswith("al-")]

    assert ids() == ["al-drift", "al-swap", "al-attack"]
    assert ids("?cause=benign+drift") == ["al-drift"]
    assert ids("?principal=key-1&cause=attack") == ["al-attack"]
    assert ids("?system=none") == []
    assert "No alarm fits." in text(client, "/console/alarms?system=none")
    answer = client.get("/console/alarms?cause=malice")
    assert answer.status_code == 400
    assert "must be one of those" in answer.text


def test_an_alarm_says_everything(client):
    shown = text(client, "/console/alarms/al-attack")
    for words in (
        "Contain the principals named here.",
        "at event 12,345",
        "14.25 (natural logarithm); the line was crossed 3 times",
        "1 in 100 (sum of the errors",
        "at most 1 false alarm per 1,000,000 events is expected",
        "Entry",
        "Did the stream as a whole change? global yes –",
        "Do some principals differ from the rest? local yes 1 in 100 0.0004 2 of 50 principals differ",
        "Does somebody search? search no – –",
        "trusted unknown – – there is no trusted source",
        "input.amount higher 75%",
        "How it was told before",
        "undetermined",
        "Evidence around it",
    ):
        assert words in shown, words


def test_an_alarm_is_marked_where_it_was_raised_not_where_its_cause_became_clear(client, store):
    store.told = [
        sample_alarm(time=NOW - 800, index=12_100, cause=Cause.UNDETERMINED),
        sample_alarm(time=NOW - 600),
    ]
    shown = text(client, "/console/alarms/al-attack")
    assert "02:50:40 UTC, at event 12,100; cause as of 2026-01-02 02:54:00 UTC, event 12,345" in shown
    for path in ("/console/alarms/al-attack", "/console/streams/fraud?range=1h"):
        page = Page(client.get(path).text)
        raised = next(a for a in page.named("line") if a.get("class") == "raised")
        onset = next(a for a in page.named("line") if a.get("class") == "onset")
        span_s = 3600.0 if "streams" in path else 100 + 2 * 1800.0
        drawn_s = (float(raised["x1"]) - float(onset["x1"])) / 1080 * span_s
        assert drawn_s == pytest.approx(100, abs=1), path


def test_what_is_not_known_about_an_alarm_is_said(client, store):
    shown = text(client, "/console/alarms/al-drift")
    assert "it lies before what is remembered" in shown
    assert "Promise none can be given" in shown
    store.sealed = False
    assert "No proof yet" in text(client, "/console/alarms/al-drift")
    assert "Nobody in particular." in text(client, "/console/alarms/al-swap")


def test_an_alarm_links_its_principals_and_their_containment(client):
    page = Page(client.get("/console/alarms/al-attack").text)
    links = {a["href"] for a in page.named("a")}
    assert "/console/principals/key-1" in links
    assert any(link.startswith("/console/principals/%3Cscript%3E") for link in links)
    assert len([f for f in page.named("form") if f["method"] == "post"]) == 2
    swap = Page(client.get("/console/alarms/al-swap").text)
    assert [f["action"] for f in swap.named("form")] == ["/api/v1/systems/fraud/release"]


def test_many_principals_are_counted_not_all_listed(client, store):
    store.told.append(sample_alarm("al-wide", principals=tuple(f"p{i}" for i in range(150))))
    assert "And 50 more: see JSON." in text(client, "/console/alarms/al-wide")
    assert "p0, 149 more" in text(client, "/console/alarms")


def test_a_principal_with_its_containment_alarms_and_exchanges(client):
    shown = text(client, "/console/principals/key-1")
    assert "nothing yet; by 2026-01-02 03:04:30 UTC at the latest: its queries are held" in shown
    assert "counted from when it starts" in shown
    assert "al-attack" in shown
    assert "ex-119" in shown
    page = Page(client.get("/console/principals/key-1").text)
    (form,) = page.named("form")
    assert form == {"method": "post", "action": "/api/v1/principals/key-1/release?system=fraud"}


def test_a_hostile_principal_has_a_page_like_any_other(client):
    page = Page(client.get("/console/alarms/al-attack").text)
    link = next(a["href"] for a in page.named("a") if "%3Cscript%3E" in a["href"])
    answer = client.get(link)
    shown = Page(answer.text)
    assert shown.named("script", "img") == []
    assert "\u202e" not in answer.text
    assert "⟨U+202E⟩" in shown.text
    (form,) = shown.named("form")
    assert form["action"].startswith("/api/v1/principals/%3Cscript%3E")
    assert form["action"].endswith("/release?system=fraud")


def test_everybody_held_is_shown_and_can_be_let_go(client):
    shown = text(client, "/console/alarms")
    assert "everybody fraud all queries are held" in shown
    assert "let go by hand" in shown


def test_a_contained_session_is_shown_with_its_principal():
    from dataclasses import replace

    status = sample_status()
    name = session_of("key-9", "s-1")
    entry = ContainedStatus(name, "hold", "hold", "attack", "al-1", NOW, NOW, NOW + 60)
    systems = [replace(status.systems[0], watch=WatchStatus(contained=(entry,)))]
    (view,) = contained_views(systems, "key-9")
    assert view.link == "/console/principals/key-9"
    assert view.action.startswith("/api/v1/principals/key-9%20%E2%80%BA%20s-1/release?")
    assert contained_views(systems, "key") == ()


def test_who_is_only_recorded_is_told_from_who_is_contained(store):
    from dataclasses import replace

    def observing():
        status = sample_status()
        fraud = status.systems[1]
        return replace(
            status, systems=(status.systems[0], replace(fraud, watch=replace(fraud.watch, enforcing=False)))
        )

    app = build_admin(
        store=store,
        status=observing,
        token=None,
        metrics=lambda: b"",
        clock=lambda: NOW,
        console=routes(store, observing, lambda: NOW),
    )
    assert "only recorded (observe mode): its queries are held" in text(
        TestClient(app, base_url="http://localhost"), "/console/alarms"
    )


@pytest.mark.parametrize(
    "path",
    ["alarms/none", "alarms/" + "x" * 600, "principals/none", "principals/" + "x" * 5000, "principals/"],
)
def test_what_there_is_not(client, path):
    assert client.get(f"/console/{path}").status_code == 404


def test_the_form_on_a_principals_page_lets_it_go(store: MemoryStore):
    released = []

    def release(principal, system):
        released.append((principal, system))
        return (system,)

    app = build_admin(
        store=store,
        status=sample_status,
        token=TOKEN,
        metrics=lambda: b"",
        clock=lambda: NOW,
        console=routes(store, sample_status, lambda: NOW),
        release=release,
    )
    browser = TestClient(app, base_url="http://localhost", follow_redirects=True)
    browser.post("/login", data={"token": TOKEN})
    alarm_page = Page(browser.get("/console/alarms/al-attack").text)
    link = next(a["href"] for a in alarm_page.named("a") if "%3Cscript%3E" in a["href"])
    action = next(f["action"] for f in Page(browser.get(link).text).named("form") if "release" in f["action"])
    sent = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    answer = browser.post(action, headers=sent)
    assert released == [(PAYLOAD, "fraud")]
    assert answer.status_code == 200
    assert str(answer.url).endswith(link)


def test_every_cause_has_a_tone(client, store):
    store.told = [sample_alarm(f"al-{cause.name}", cause=cause) for cause in Cause]
    shown = text(client, "/console/alarms")
    assert all(cause.value in shown for cause in Cause)
