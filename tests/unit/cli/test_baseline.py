"""``bartizan baseline``: an anchor signed, windows promoted or refused, rolled back."""

import csv
import json

import numpy as np
import pytest

from bartizan.cli.__main__ import main

START = 1_700_000_000


def write(path, seed, n, *, shift=0.0, start=START):
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["time", "principal", "amount"])
        for i in range(n):
            lines.writerow([start + i, f"u{rng.integers(0, 300)}", f"{rng.normal() + shift:.5f}"])
    return str(path)


@pytest.fixture
def signed(tmp_path, capsys):
    calm = write(tmp_path / "calm.csv", 1, 5_000)
    saved = str(tmp_path / "calm.baseline")
    assert main(["watch", calm, "--calibration", calm, "--save-baseline", saved, "--per", "10000"]) in (0, 1)
    store = ["--store", str(tmp_path / "data"), "--json"]
    assert main(["baseline", "sign", saved, "--reason", "looked at it", *store]) == 0
    capsys.readouterr()
    return tmp_path, saved, store


def test_promote_show_roll_back(signed, capsys):
    folder, saved, store = signed
    window = write(folder / "window.csv", 2, 4_000, shift=0.03, start=START + 10_000)
    command = ["baseline", "promote", window, "--reader", saved, *store]
    assert main([*command, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["promoted"] is False
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["promoted"] is True
    assert main(command) == 1
    assert "taken in twice" in " ".join(json.loads(capsys.readouterr().out)["said"])
    assert main(["baseline", "show", *store]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [e["kind"] for e in shown["entries"]] == ["anchor", "promotion"]
    assert shown["in_force"] != shown["anchor"]
    assert main(["baseline", "rollback", "--reason", "complaints", *store]) == 0
    capsys.readouterr()
    assert main(["baseline", "show", *store]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["in_force"] == shown["anchor"]
    assert shown["entries"][-1]["reason"] == "complaints"


def test_attack_on_file_and_large_moves_are_refused(signed, capsys):
    folder, saved, store = signed
    window = write(folder / "window.csv", 2, 4_000, start=START + 10_000)
    calm = write(folder / "no-attack.csv", 3, 500)
    options = ["--reader", saved, "--attack", calm, *store]
    assert main(["baseline", "promote", window, *options]) == 1
    assert "no-attack.csv would be found never" in " ".join(json.loads(capsys.readouterr().out)["said"])
    far = write(folder / "far.csv", 4, 4_000, shift=2.0, start=START + 20_000)
    assert main(["baseline", "promote", far, "--reader", saved, *store]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["human"]
    assert any("a person must sign" in s for s in told["said"])


def test_text_for_people(signed, capsys):
    folder, saved, store = signed
    assert main(["baseline", "show", *store[:2]]) == 0
    assert "looked at it" in capsys.readouterr().out
    window = write(folder / "window.csv", 2, 4_000, start=START + 10_000)
    assert main(["baseline", "promote", window, "--reader", saved, *store[:2]]) == 0
    out = capsys.readouterr().out
    assert "promoted" in out
    assert "only the caps and distances bound it" in out


def test_foreign_keys_and_names_are_refused(signed, capsys):
    folder, _, store = signed
    other = [
        "baseline",
        "show",
        "--trust",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ]
    assert main([*other, *store]) == 1
    assert "not signed by" in capsys.readouterr().err
    assert main(["baseline", "show", "--system", "another", *store]) == 2
    assert "no baselines of another" in capsys.readouterr().err
    assert main(["baseline", "show", "--system", "../up", *store]) == 2
    (folder / "data" / "baselines.key").unlink()
    assert main(["baseline", "rollback", "--reason", "x", *store]) in (1, 2)
