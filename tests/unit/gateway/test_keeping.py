"""State over a restart: whole or not at all, for the owner alone, and said when it can't be read."""

from __future__ import annotations

import os

import pytest

from bartizan.alarms import Cause
from bartizan.gateway.keeping import load_contained, load_monitor, save_contained, save_monitor
from bartizan.policy.containment import Contained, Measure

ENTRY = Contained("a/b", Measure.NONE, Measure.HOLD, Cause.ATTACK, "al-1", 1.0, 7, 90.0)


def test_who_is_contained_comes_back(tmp_path):
    path = tmp_path / "watch" / "fraud.contained"
    assert load_contained(path) == ([], "")
    save_contained(path, ())
    assert not path.exists()
    save_contained(path, (ENTRY,))
    assert load_contained(path) == ([ENTRY], "")
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(path.parent).st_mode & 0o777 == 0o700
    save_contained(path, ())
    assert load_contained(path) == ([], "")


def test_a_monitor_comes_back_under_its_own_baseline_only(tmp_path):
    path = tmp_path / "fraud.monitor"
    assert load_monitor(path, "d1") == (None, "")
    save_monitor(path, "d1", b"state")
    assert load_monitor(path, "d1") == (b"state", "")
    assert load_monitor(path, "d2") == (None, "")


@pytest.mark.parametrize("load", [load_contained, lambda path: load_monitor(path, "d")])
@pytest.mark.parametrize("data", [b"", b"\xff\x00", b"\x91\xc0"])
def test_what_cannot_be_read_is_said(tmp_path, load, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    kept, why = load(path)
    assert not kept
    assert why


def test_a_crash_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "fraud.contained"
    save_contained(path, (ENTRY,))

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="No space"):
        save_contained(path, ())
    assert load_contained(path) == ([ENTRY], "")
