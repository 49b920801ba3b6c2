"""The stream of new exchanges: what comes, in which order, and where it ends."""

from __future__ import annotations

import json

import anyio
import pytest

from bartizan.console import live
from bartizan.console.live import Live


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(live, "POLL_SECONDS", 0.0)


def parse(message: bytes) -> dict[str, str]:
    assert message.endswith(b"\n\n")
    return dict(line.split(": ", 1) for line in message.decode().strip().split("\n") if ": " in line)


def collect(store, after, *, looks=2, between=lambda: None):
    """Return the messages of a stream that ends after so many looks."""
    ticks = iter([0.0] * (looks + 1) + [live.STREAM_SECONDS + 1])

    async def run():
        messages = []
        async for message in Live(store, lambda: next(ticks)).messages(after):
            messages.append(message)
            between()
        return messages

    return anyio.run(run)


def test_what_is_new_comes_oldest_first_and_once(store, fast):
    messages = [parse(m) for m in collect(store, 117, looks=3)]
    rows = [m for m in messages if m.get("event") == "rows"]
    assert len(rows) == 1
    assert rows[0]["id"] == "120"
    assert [r["index"] for r in json.loads(rows[0]["data"])] == [118, 119, 120]


def test_a_new_page_starts_with_what_happens_next(store, fast):
    calls = []

    def between():
        calls.append(1)
        if len(calls) == 2:  # the first message precedes the look at what is newest
            store.kept.append(store.kept[0])

    messages = [parse(m) for m in collect(store, None, looks=3, between=between)]
    rows = [r for m in messages if "data" in m for r in json.loads(m["data"])]
    assert [r["index"] for r in rows] == [121]


def test_a_flood_is_cut_and_counted(store, fast):
    messages = [parse(m) for m in collect(store, -1)]
    skipped = next(m for m in messages if m.get("event") == "skipped")
    rows = next(m for m in messages if m.get("event") == "rows")
    assert int(skipped["data"]) == 121 - live.BATCH
    assert len(json.loads(rows["data"])) == live.BATCH


def test_hostile_text_can_not_forge_a_field(store, fast):
    rows = next(m for m in collect(store, 119) if b"event: rows" in m)
    assert rows.count(b"\n") == 4
    row = json.loads(parse(rows)["data"])[0]
    assert row["p_value"] == "1 in 4,200"
    assert "⟨U+202E⟩" in row["principal"]
    assert "\u202e" not in rows.decode()
    assert row["link"] == "/console/events/ex-hostile"


def serve(client, store, path="/console/live/events", headers=(), until=b"event: rows"):
    """Drive the whole admin plane until a piece of the body was seen; then hang up."""
    sent = []

    async def run():
        seen = anyio.Event()

        async def receive():
            await seen.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if until in message.get("body", b"") or message.get("status", 200) != 200:
                seen.set()

        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": route,
            "raw_path": route.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), *headers],
            "client": ("192.0.2.1", 1),
            "server": ("localhost", 80),
        }
        with anyio.move_on_after(10) as waiting:
            async with anyio.create_task_group() as tasks:

                async def answer():
                    await client.app(scope, receive, send)
                    tasks.cancel_scope.cancel()

                async def hang_up():
                    await seen.wait()
                    await anyio.sleep(0.05)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(answer)
                tasks.start_soon(hang_up)
        assert not waiting.cancelled_caught

    anyio.run(run)
    return sent


AUTHORIZED = (b"authorization", b"Bearer an-admin-token-for-tests")


def test_the_stream_runs_through_the_admin_plane(client, store, fast):
    sent = serve(client, store, "/console/live/events?after=118", [AUTHORIZED])
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    body = b"".join(m.get("body", b"") for m in sent)
    assert body.startswith(b"retry: ")
    assert b"id: 120" in body


def test_a_browser_that_comes_back_goes_on_where_it_was(client, store, fast):
    sent = serve(client, store, "/console/live/events?after=3", [AUTHORIZED, (b"last-event-id", b"119")])
    rows = next(m["body"] for m in sent if b"event: rows" in m.get("body", b""))
    assert [r["index"] for r in json.loads(parse(rows)["data"])] == [120]


def test_strangers_see_no_stream(client, store):
    assert serve(client, store)[0]["status"] == 401


def test_streams_are_bounded(client, store, monkeypatch):
    monkeypatch.setattr(live, "MAX_STREAMS", 0)
    assert serve(client, store, headers=[AUTHORIZED])[0]["status"] == 503
