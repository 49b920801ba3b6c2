from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bartizan.cli import ledger
from bartizan.errors import ConfigError, LedgerError
from bartizan.store import Store, StoreSettings
from bartizan.types import Effect, Principal, Record


def record(name: str) -> Record:
    return Record(
        id=name,
        time=1_700_000_000.0,
        system="shop",
        protocol="openai-chat",
        principal=Principal("key:1", "api-key", "s1"),
        model="small",
        effect=Effect.ALLOW,
        enforced=Effect.ALLOW,
        rule="default",
        p_value=0.5,
        status=200,
        stream=False,
        added_us=100,
        upstream_us=5_000,
    )


@pytest.fixture
def data(tmp_path) -> Path:
    with Store(StoreSettings(tmp_path / "data", retention_days=None), lambda: 1_700_000_100.0) as store:
        for number in range(5):
            store.append(record(f"r{number}"))
    return tmp_path / "data"


def call(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    ledger.add_arguments(parser)
    return ledger.run(parser.parse_args([str(argument) for argument in arguments]))


def test_verify(data, capsys):
    assert call("verify", data) == 0
    assert "the ledger verifies" in capsys.readouterr().out
    assert call("verify", "--store", data, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["records"], report["signed"], report["unsigned"]) == (True, 6, 6, 0)


def test_verify_says_what_is_wrong(data, capsys):
    segment = next((data / "ledger").glob("*.seg"))
    content = bytearray(segment.read_bytes())
    content[100] ^= 1
    segment.write_bytes(content)
    assert call("verify", data) == 1
    assert "is damaged" in capsys.readouterr().out
    assert call("verify", data, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert len(report["problems"]) == 1


def test_verify_with_what_was_kept_elsewhere(data, capsys, tmp_path):
    assert call("checkpoint", "--store", data) == 0
    witness = tmp_path / "witness"
    witness.write_text(capsys.readouterr().out)
    key = (data / "ledger" / "verifier.pub").read_text().strip()
    assert call("verify", data, "--key", key, "--witness", witness) == 0
    other = key[:-1] + ("B" if key.endswith("A") else "A")
    assert call("verify", data, "--key", other) == 1
    with pytest.raises(ConfigError):
        call("verify", data, "--witness", tmp_path / "nothing")


def test_no_ledger_is_a_usage_error(tmp_path):
    for action in ("verify", "checkpoint"):
        with pytest.raises(ConfigError, match="no ledger"):
            call(action, "--store", tmp_path)


def test_checkpoint_for_machines(data, capsys):
    assert call("checkpoint", "--store", data, "--json") == 0
    checkpoint = json.loads(capsys.readouterr().out)
    assert (checkpoint["origin"], checkpoint["size"]) == ("bartizan", 6)


def test_a_proof_and_its_check(data, capsys, tmp_path):
    assert call("prove", "r3", "--store", data) == 0
    assert "record r3 is entry 4 of 6" in capsys.readouterr().out
    assert call("prove", "r3", "--store", data, "--json") == 0
    proof = tmp_path / "proof.json"
    proof.write_text(capsys.readouterr().out)
    key = (data / "ledger" / "verifier.pub").read_text()
    assert call("check-proof", proof, "--key", key) == 0
    assert call("check-proof", proof, "--key", key, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["record"]["id"] == "r3"
    proof.write_text(proof.read_text().replace("small", "large"))
    assert call("check-proof", proof, "--key", key, "--json") == 1
    assert not json.loads(capsys.readouterr().out)["ok"]
    with pytest.raises(LedgerError):
        call("check-proof", proof, "--key", key)


def test_no_such_record(data):
    with pytest.raises(LedgerError, match="no record"):
        call("prove", "nothing", "--store", data)
