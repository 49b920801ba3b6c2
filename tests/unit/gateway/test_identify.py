from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bartizan.config import Identity
from bartizan.errors import ConfigError
from bartizan.gateway.identify import Identifier, install_key

KEY = b"k" * 32


def who(headers: dict[str, str], identity: Identity | None = None, **more: str) -> tuple[str, str, str]:
    found = Identifier(identity or Identity(), KEY).principal(
        headers, "192.0.2.1", more.pop("seed", ""), **more
    )
    return found.id, found.source, found.session


def test_the_installation_has_one_key_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "data" / "principals.key"
    made = install_key(path)
    assert len(made) == 32
    assert install_key(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["principals.key"]


def test_another_process_that_was_faster_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "principals.key"
    link = os.link

    def slow(source: Path, target: Path) -> None:
        path.write_bytes(KEY)
        link(source, target)

    monkeypatch.setattr(os, "link", slow)
    assert install_key(path) == KEY


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_damaged_key_is_not_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "principals.key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is no key"):
        install_key(path)


def test_the_address_is_the_last_resort() -> None:
    assert who({})[:2] == ("192.0.2.1", "address")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
def test_an_api_key_names_its_owner_without_being_told(header: str) -> None:
    secret = "sk-" + "abcdef"
    name, source, _ = who({header: secret})
    assert source == "api-key"
    assert secret not in name
    assert who({header: secret})[0] == name
    assert who({header: secret + "x"})[0] != name
    assert Identifier(Identity(), b"o" * 32).principal({header: secret}, "", "").id != name


def test_configured_headers_come_first() -> None:
    headers = {"x-user": "anna", "x-client-dn": "CN=a", "authorization": "Bearer k"}
    assert who(headers)[1] == "api-key"
    assert who(headers, Identity(mtls_header="X-Client-DN"))[:2] == ("CN=a", "mtls")
    assert who(headers, Identity(header="X-User", mtls_header="X-Client-DN"))[:2] == ("anna", "header")
    assert who({}, Identity(header="X-User"), client_subject="CN=b")[:2] == ("CN=b", "mtls")


def test_names_are_bounded() -> None:
    assert len(who({"x-user": "a" * 5000}, Identity(header="x-user"))[0]) == 128
    assert len(who({"x-session-id": "a" * 5000})[2]) == 128


def test_a_session_is_named_by_its_header_or_by_how_it_began() -> None:
    assert who({"x-session-id": "s1"}, seed="m|a|b")[2] == "s1"
    derived = who({}, seed="m|a|b")[2]
    assert derived.startswith("~")
    assert "m|a|b" not in derived
    assert who({}, seed="m|a|b")[2] == derived != who({}, seed="m|a|c")[2]
    assert who({})[2] == ""


def test_no_credential_stays_in_memory() -> None:
    identifier = Identifier(Identity(), KEY)
    identifier.principal({"authorization": "Bearer sk-very-secret"}, "", "")
    assert "sk-very-secret" not in repr(vars(identifier))
