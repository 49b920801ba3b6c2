"""``bartizan events --alarms``: the recorded alarms, as they were told last."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from bartizan.alarms import Alarm, Answer, Cause, Ground
from bartizan.cli import alarm_list, events
from bartizan.errors import ConfigError
from bartizan.store import Store, StoreSettings

NOW = 1_700_000_000.0


def alarm(number: int, **changes) -> Alarm:
    grounds = (Ground("local", Answer.YES, 0.01, "one \x1b[2J principal\u202e differs"),)
    base = Alarm(
        f"al-{number}", "fraud" if number % 2 else "digits", NOW + number, 10, Cause.ATTACK, NOW, 5, (),
        ("mallory", f"p{number}"), grounds, 14.0, 0.01, "", "Look at it.",
    )  # fmt: skip
    return replace(base, **changes)


@pytest.fixture
def data(tmp_path) -> Path:
    with Store(StoreSettings(tmp_path / "data", retention_days=None), lambda: NOW) as store:
        store.append_alarm(alarm(1, cause=Cause.UNDETERMINED))
        for number in range(4):
            store.append_alarm(alarm(number, cause=Cause.BENIGN_DRIFT if number == 2 else Cause.ATTACK))
    return tmp_path / "data"


def call(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    events.add_arguments(parser)
    return events.run(parser.parse_args([str(argument) for argument in arguments]))


def listed(capsys) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["id"], line["verdict"]) for line in lines]


def test_for_machines_oldest_first_and_as_told_last(data, capsys):
    assert call("--store", data, "--alarms", "--json") == 0
    assert listed(capsys) == [
        ("al-0", "attack"),
        ("al-1", "attack"),
        ("al-2", "benign drift"),
        ("al-3", "attack"),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--limit", 1], ["al-3"]),
        (["--system", "digits"], ["al-0", "al-2"]),
        (["--cause", "benign drift"], ["al-2"]),
        (["--principal", "p3"], ["al-3"]),
        (["--since", "2023-11-14T22:13:22Z"], ["al-2", "al-3"]),
        (["--principal", "nobody"], []),
    ],
)
def test_filters(data, capsys, arguments, expected):
    assert call("--store", data, "--alarms", "--json", *arguments) == 0
    assert [id for id, _ in listed(capsys)] == expected


def test_for_people_without_steering_the_terminal(data, capsys):
    assert call("--store", data, "--alarms") == 0
    out = capsys.readouterr().out
    assert out.index("al-0") < out.index("al-3")
    assert "ATTACK" in out
    assert "mallory, p3" in out
    assert "Look at it." in out
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize("arguments", [["--alarms", "--effect", "block"], ["--alarms", "--before", 3]])
def test_conditions_about_exchanges_are_refused(data, arguments):
    with pytest.raises(ConfigError, match="about exchanges") as caught:
        call("--store", data, *arguments)
    assert "--cause" in caught.value.hint


def test_causes_of_exchanges_are_refused(data):
    with pytest.raises(ConfigError, match="about alarms"):
        call("--store", data, "--cause", "attack")


def test_following_shows_what_is_new_and_what_became_clearer(data, capsys, monkeypatch):
    rounds = iter([[alarm(7, cause=Cause.UNDETERMINED)], [], [alarm(7, cause=Cause.TENANT_CHANGE), alarm(9)]])

    def meanwhile(_seconds: float) -> None:
        try:
            told = next(rounds)
        except StopIteration:
            raise KeyboardInterrupt from None
        with Store(StoreSettings(data, retention_days=None), lambda: NOW) as store:
            for each in told:
                store.append_alarm(each)

    monkeypatch.setattr(alarm_list.time, "sleep", meanwhile)
    with pytest.raises(KeyboardInterrupt):
        call("--store", data, "--alarms", "--json", "--follow", "--limit", 1)
    assert listed(capsys)[1:] == [
        ("al-7", "undetermined"),
        ("al-7", "tenant change or attack"),
        ("al-9", "attack"),
    ]
