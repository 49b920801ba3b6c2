"""``bartizan watch``: alarms over recordings, for people and machines."""

import csv
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bartizan.alarms import Alarm, Answer, Cause, Ground, StreamShare
from bartizan.cli import watch
from bartizan.cli.__main__ import main
from bartizan.cli.alarm_text import as_json, as_text, counted
from bartizan.cli.baselines import load
from bartizan.cli.recorded.recording import Recording
from bartizan.cli.recorded.roles import Options
from bartizan.errors import CalibrationError
from bartizan.monitoring import stored

NAMES = ["time", "principal", "amount", "country", "prediction"]


def stream(seed, events, *, since=None, who=None, shift=2.0):
    """Write-ups of independent events; from ``since`` on, amounts of ``who`` (all: ``None``) are shifted."""
    rng = np.random.default_rng(seed)
    users = [f"u{i}" for i in rng.integers(0, 12, events)]
    if since is not None and who is not None:
        users[since::4] = [who] * len(users[since::4])
    amounts = rng.normal(size=events)
    if since is not None:
        amounts[since:] += [shift if who in (None, u) else 0.0 for u in users[since:]]
    countries = rng.choice(["DE", "FR", "PL"], events, p=[0.6, 0.3, 0.1])
    labels = np.where(rng.random(events) < 0.2, "decline", "approve")
    return [
        [1_700_000_000 + i, users[i], f"{amounts[i]:.4f}", countries[i], labels[i]] for i in range(events)
    ]


def write(path, rows, names=NAMES):
    if path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps(dict(zip(names, map(str, row), strict=True))) + "\n" for row in rows)
        )
    else:
        with path.open("w", newline="") as handle:
            csv.writer(handle).writerows([names, *rows])
    return str(path)


@pytest.fixture(scope="module")
def benign(tmp_path_factory):
    return write(tmp_path_factory.mktemp("benign") / "benign.csv", stream(0, 4_000))


BLOCKS = Recording.blocks


def in_blocks_of(monkeypatch, size):
    monkeypatch.setattr(Recording, "blocks", lambda self, tally: BLOCKS(self, tally, size))


def watched(capsys, *arguments):
    code = main(["watch", "--json", *arguments])
    done = capsys.readouterr()
    return code, [json.loads(line) for line in done.out.splitlines()], done.err


def test_a_change_is_found_dated_and_laid_at_a_door(benign, tmp_path, capsys):
    path = write(tmp_path / "a.csv", stream(1, 3_000, since=1_500, who="mallory"))
    code, alarms, err = watched(capsys, path, "--calibration", benign)
    assert code == 1
    last = alarms[-1]
    assert last["verdict"] == "tenant change or attack"
    assert last["principals"] == ["mallory"]
    assert 1_450 <= last["onset_index"] <= 1_550
    assert last["onset"] == 1_700_000_000 + last["onset_index"]
    assert last["streams"][0]["name"] == "input.amount"
    assert {g["kind"]: g["answer"] for g in last["evidence"]} | {"local": "yes", "global": "yes"} == {
        g["kind"]: g["answer"] for g in last["evidence"]
    }
    assert 0 < last["error_rate"] < 0.05
    assert last["promise"].startswith("at most 1 false alarm per 1,000,000 events")
    assert "3,000 events; 1 alarm: 1 tenant change or attack" in err


def test_without_a_change_there_is_no_alarm_and_the_code_is_0(benign, tmp_path, capsys):
    code, alarms, err = watched(capsys, write(tmp_path / "a.csv", stream(2, 3_000)), "--calibration", benign)
    assert (code, alarms) == (0, [])
    assert "principal: principal" in err
    assert "outputs: prediction, classes 0 to 1: approve, decline" in err
    assert "3,000 events; no alarm" in err
    assert "at most 0.003 false alarms are expected" in err


def test_blocks_lines_and_formats_give_the_same_alarms(benign, tmp_path, capsys, monkeypatch):
    rows = stream(3, 1_200, since=600, who="mallory")
    path = write(tmp_path / "a.csv", rows)
    _, whole, _ = watched(capsys, path, "--calibration", benign)
    assert whole
    _, lines, _ = watched(capsys, write(tmp_path / "a.jsonl", rows), "--calibration", benign)
    assert lines == whole
    for size in (1, 7):
        in_blocks_of(monkeypatch, size)
        _, parts, _ = watched(capsys, path, "--calibration", benign)
        assert parts == whole


def test_a_saved_baseline_gives_the_same_alarms(benign, tmp_path, capsys):
    path = write(tmp_path / "a.csv", stream(1, 3_000, since=1_500, who="mallory"))
    saved = tmp_path / "it.baseline"
    _, first, _ = watched(capsys, path, "--calibration", benign, "--save-baseline", str(saved))
    _, again, _ = watched(capsys, path, "--calibration", str(saved))
    assert again == first
    assert load(saved, Options()).schema.labels == ("approve", "decline")


def test_a_bare_baseline_needs_to_be_told_the_outputs(benign, tmp_path, capsys):
    saved, bare = tmp_path / "it.baseline", tmp_path / "bare.baseline"
    path = write(tmp_path / "a.csv", stream(2, 1_000))
    watched(capsys, path, "--calibration", benign, "--save-baseline", str(saved), "--output", "-")
    bare.write_bytes(stored.encode(load(saved, Options()).baseline))
    code, alarms, _ = watched(capsys, path, "--calibration", str(bare), "--ignore", "prediction")
    assert (code, alarms) == (0, [])
    watched(capsys, path, "--calibration", benign, "--save-baseline", str(saved))
    bare.write_bytes(stored.encode(load(saved, Options()).baseline))
    code, _, err = watched(capsys, path, "--calibration", str(bare))
    assert code == 2
    assert "--output" in err


def test_the_rate_can_be_chosen_and_is_part_of_a_saved_baseline(benign, tmp_path, capsys):
    path = write(tmp_path / "a.csv", stream(2, 1_000))
    saved = str(tmp_path / "it.baseline")
    rate = ["--false-alarms", "2", "--per", "100000"]
    _, _, err = watched(capsys, path, "--calibration", benign, "--save-baseline", saved, *rate)
    assert "at most 1 false alarm per 50,000 events" in err
    code, _, err = watched(capsys, path, "--calibration", saved, *rate)
    assert code == 2
    assert "already has its false-alarm rate" in err


def test_no_promise_where_the_calibration_is_dependent(tmp_path, capsys):
    rng = np.random.default_rng(0)
    noise, walk = rng.normal(size=2_000), [0.0]
    for step in noise:
        walk.append(0.999 * walk[-1] + step)
    path = write(tmp_path / "a.csv", [[i, f"{x:.4f}"] for i, x in enumerate(walk)], ["time", "x"])
    _, _, err = watched(capsys, path, "--calibration", path)
    assert "promised: nothing, because" in err


def test_people_get_a_block_an_alarm(benign, tmp_path, capsys):
    path = write(tmp_path / "a.csv", stream(1, 3_000, since=1_500, who="mallory"))
    assert main(["watch", path, "--calibration", benign]) == 1
    out = capsys.readouterr().out
    assert out.startswith("TENANT CHANGE OR ATTACK  al-")
    assert "who      mallory" in out
    assert "where    input.amount" in out
    assert "2023-11-14 " in out
    assert "3,000 events; 1 alarm" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--calibration", "none.csv"], "can't read none.csv"),
        (["--calibration", "none.baseline"], "can't read none.baseline"),
        (["--calibration", "-"], "can't come from stdin"),
        (["--false-alarms", "0"], "can't be asked for"),
        (["--false-alarms", "5", "--per", "2"], "can't be asked for"),
        (["--per", "nan"], "can't be asked for"),
        (["--save-baseline", "x.csv"], "would be taken for a recording"),
        (["--principal", "who"], "has no column 'who'"),
        (["--ignore", "amount", "--ignore", "nothing"], "has no column 'nothing'"),
    ],
)
def test_what_can_not_be_done_is_said_with_a_hint(benign, tmp_path, capsys, arguments, said):
    path = write(tmp_path / "a.csv", stream(2, 600))
    calibration = [] if "--calibration" in arguments else ["--calibration", benign]
    code, _, err = watched(capsys, path, *calibration, *arguments)
    assert code == 2
    assert said in err
    assert "hint:" in err


def test_an_alarm_before_an_unreadable_line_is_told(benign, tmp_path, capsys, monkeypatch):
    in_blocks_of(monkeypatch, 500)
    path = tmp_path / "a.csv"
    write(path, stream(1, 1_800, since=600, who="mallory"))
    with path.open("a") as handle:
        handle.write("broken\n")
    code, alarms, err = watched(capsys, str(path), "--calibration", benign)
    assert code == 2
    assert alarms
    assert "line 1802 has 1 values for 5 columns" in err
    code, alarms, err = watched(capsys, str(path), "--calibration", benign, "--skip-unreadable")
    assert code == 1
    assert "1 events left out as unreadable" in err


def test_lines_that_arrive_are_judged_and_an_interrupt_ends_it_with_the_sum(
    benign, tmp_path, capsys, monkeypatch
):
    rows = stream(3, 1_200, since=600, who="mallory")
    path = write(tmp_path / "a.jsonl", rows)
    _, whole, _ = watched(capsys, path, "--calibration", benign)
    with open(path, "rb") as handle:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=handle))
        code, piped, _ = watched(capsys, "-", "--calibration", benign, "--seed", "0")
    assert (code, piped) == (1, whole)

    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupted)
    code, followed, err = watched(capsys, path, "--calibration", benign, "--seed", "0", "--follow")
    assert (code, followed) == (1, whole)
    assert "1,200 events" in err


def test_alarms_go_down_the_pipe_while_progress_is_shown(benign, tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "a.csv", stream(3, 1_200, since=600, who="mallory"))
    _, whole, _ = watched(capsys, path, "--calibration", benign)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    _, shown, err = watched(capsys, path, "--calibration", benign)
    assert shown == whole
    assert "watching" in err


def test_columns_of_every_kind_can_be_watched(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = ["time", "constant", "flag", "rare", "wide", "kind"]
    rows = [
        [
            i,
            1,
            int(rng.random() < 0.3),
            "" if rng.random() < 0.9 else i % 7,
            rng.normal() ** 9,
            f"k{rng.integers(40)}",
        ]
        for i in range(2_000)
    ]
    path = write(tmp_path / "a.csv", rows, names)
    code, alarms, err = watched(capsys, path, "--calibration", path)
    assert (code, alarms) == (0, [])
    assert "inputs, numbers: constant, flag, rare, wide" in err


def sessions(path, seed, count, *, searches=False):
    """Sessions of users who ask about independent rows; one more client walks along the boundary."""
    rng = np.random.default_rng(seed)
    asked = []
    for s in range(count):
        began, user = 40.0 * s, f"u{s}"
        asked += [(began + 2 * q, user, rng.normal(size=4)) for q in range(int(rng.integers(8, 20)))]
    if searches:
        far, near = np.full(4, 1.5), np.full(4, -1.5)
        for q in range(60):
            middle = (far + near) / 2 + rng.normal(size=4) * 0.02
            far, near = (middle, near) if middle.sum() > 0 else (far, middle)
            asked.append((400.0 + q, "mallory", middle))
    asked.sort(key=lambda a: a[0])
    rows = []
    for when, user, row in asked:
        score = 1 / (1 + np.exp(-row.sum()))
        rows.append([when, user, *(f"{x:.5f}" for x in row), f"{score:.5f}", f"{1 - score:.5f}"])
    return write(path, rows, ["time", "user", "a", "b", "c", "d", "prob_yes", "prob_no"])


def test_a_client_that_searches_is_an_attack(tmp_path, capsys):
    benign = sessions(tmp_path / "benign.csv", 0, 700)
    path = sessions(tmp_path / "a.csv", 1, 60, searches=True)
    saved = str(tmp_path / "it.baseline")
    code, alarms, err = watched(capsys, path, "--calibration", benign, "--sessions", "--save-baseline", saved)
    assert "at most 1 in 1" in err
    assert code == 1
    assert {a["principals"][0] for a in alarms if a["verdict"] == "attack"} == {"mallory"}
    assert any(g["kind"] == "search" and g["answer"] == "yes" for g in alarms[0]["evidence"])
    _, again, _ = watched(capsys, path, "--calibration", saved, "--sessions")
    assert again == alarms
    _, without, _ = watched(capsys, path, "--calibration", saved)
    assert "attack" not in {a["verdict"] for a in without}


def test_too_few_benign_sessions_are_said_and_not_used(benign, tmp_path, capsys):
    path = write(tmp_path / "a.csv", stream(2, 600))
    saved = str(tmp_path / "it.baseline")
    how = ["--calibration", benign, "--sessions"]
    _, _, err = watched(capsys, path, *how, "--save-baseline", saved)
    assert "sessions: not watched, too few in the calibration have 8 queries or more" in err
    _, _, err = watched(capsys, path, *how, "--output", "-")
    assert "sessions: not watched, they need inputs, principals and outputs" in err
    _, _, err = watched(capsys, path, "--calibration", saved, "--sessions")
    assert "sessions: not watched, the baseline was saved without them" in err


def test_what_is_no_baseline_is_refused(tmp_path):
    for data in (b"", b"time,x\n1,2\n", bytes(range(256)), b"\xc1" * 100, b"\x91" * 10_000):
        path = tmp_path / "it.baseline"
        path.write_bytes(data)
        with pytest.raises(CalibrationError):
            load(path, Options())


ALARM = Alarm(
    "al-1", "s", 1_700_000_000.0, 7, Cause.ATTACK, 1_699_999_999.0, -1,
    (StreamShare("input.\x1b[2J", 1.0, "higher"),), ("\x1b]0;owned\x07", "b"),
    (Ground("search", Answer.YES, 0.001, "it searches\nEVERYWHERE", 1e-4),), 3.0, 0.001, "", "act",
)  # fmt: skip


def test_an_alarm_can_not_steer_the_terminal():
    text = as_text(ALARM, timed=True, again=True).plain
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "it searches�EVERYWHERE" in text
    assert "before what is kept" in text
    assert "wrong at most 1 in 1,000" in text
    assert "2023" not in as_text(ALARM, timed=False, again=False).plain


def test_the_json_of_an_alarm():
    body = as_json(ALARM)
    assert body["verdict"] == "attack"
    assert body["error_rate"] == 0.001
    assert body["evidence"][0]["kind"] == "search"
    assert {"onset", "principals", "streams", "promise", "advice"} <= set(body)


def test_alarms_are_counted_by_cause():
    assert counted([]) == "no alarm"
    assert counted([ALARM, ALARM]) == "2 alarms: 2 attack"
