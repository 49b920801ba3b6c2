from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from bartizan.cli import events
from bartizan.store import EventQuery, Store, StoreSettings, open_reader
from bartizan.types import Effect, Principal, Record

NOW = 1_700_000_000.0


def record(number: int) -> Record:
    effect = Effect.BLOCK if number == 3 else Effect.ALLOW
    return Record(
        id=f"r{number}",
        time=NOW + number,
        system="shop" if number % 2 else "desk",
        protocol="openai-chat",
        principal=Principal(f"key:{number % 2}", "api-key", f"s{number}"),
        model="small",
        effect=effect,
        enforced=Effect.ALLOW,
        rule="default",
        p_value=None if number == 0 else 0.5,
        status=200,
        stream=False,
        added_us=100,
        upstream_us=5_000,
    )


@pytest.fixture
def data(tmp_path) -> Path:
    with Store(StoreSettings(tmp_path / "data", retention_days=None), lambda: NOW) as store:
        for number in range(5):
            store.append(record(number))
        store.append(replace(record(5), principal=Principal("evil\x1b[2J\u202e[red]", "header")))
    return tmp_path / "data"


def call(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    events.add_arguments(parser)
    return events.run(parser.parse_args([str(argument) for argument in arguments]))


def listed(capsys) -> list[str]:
    return [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]


def test_for_people_oldest_first(data, capsys):
    assert call("--store", data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "time"
    assert [line.split()[-1] for line in lines[1:]] == ["r0", "r1", "r2", "r3", "r4", "r5"]
    assert "block (observed)" in lines[4]


def test_clients_cannot_steer_the_terminal(data, capsys):
    assert call("--store", data) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red]" in out  # shown, not obeyed


def test_for_machines(data, capsys):
    assert call("--store", data, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["index"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert (lines[3]["effect"], lines[3]["enforced"]) == ("block", "allow")
    assert lines[0]["p_value"] is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--limit", 2], ["r4", "r5"]),
        (["--system", "desk"], ["r0", "r2", "r4"]),
        (["--effect", "redact"], ["r3"]),
        (["--principal", "key:0"], ["r0", "r2", "r4"]),
        (["--session", "s2"], ["r2"]),
        (["--detector", "text.leak"], []),
        (["--since", "2023-11-14T22:13:24Z"], ["r4", "r5"]),
        (["--until", "2023-11-14T22:13:21"], ["r0"]),
        (["--since", "1h"], []),
        (["--before", 3], ["r0", "r1"]),
    ],
)
def test_filters(data, capsys, arguments, expected):
    assert call("--store", data, "--json", *arguments) == 0
    assert listed(capsys) == expected


@pytest.mark.parametrize("arguments", [["--since", "yesterday"], ["--limit", "0"], ["--effect", "shrug"]])
def test_nonsense_is_a_usage_error(data, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        call("--store", data, *arguments)
    assert caught.value.code == 2


def test_follow_shows_everything_new_once(data, capsys, monkeypatch):
    rounds = iter([[7, 8], [], [9]])

    def meanwhile(_seconds: float) -> None:
        try:
            numbers = next(rounds)
        except StopIteration:
            raise KeyboardInterrupt from None
        with Store(StoreSettings(data, retention_days=None), lambda: NOW) as store:
            for number in numbers:
                store.append(record(number))

    monkeypatch.setattr(events.time, "sleep", meanwhile)
    with pytest.raises(KeyboardInterrupt):
        call("--store", data, "--json", "--follow", "--limit", 1)
    assert listed(capsys) == ["r5", "r7", "r8", "r9"]


def test_nothing_new_is_missed_however_much_it_is(data, monkeypatch):
    monkeypatch.setattr(events, "FOLLOW_ROWS", 2)
    reader = open_reader(data)
    found = events.new_events(reader, EventQuery(), 1)
    reader.close()
    assert [event.id for event in found] == ["r1", "r2", "r3", "r4", "r5"]
