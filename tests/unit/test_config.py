import json

import pytest

from bartizan.config import from_mapping, load, schema, secret
from bartizan.errors import ConfigError

SYSTEM = {"name": "a", "kind": "chat", "upstream": {"url": "http://x.test/"}}


def test_defaults_are_safe(tmp_path):
    config = from_mapping({"systems": [SYSTEM]}, base=tmp_path)
    assert config.data.host == config.admin.host == "127.0.0.1"
    assert not config.store.keep_content
    assert config.systems[0].on_fault == "block"
    assert config.systems[0].upstream.url == "http://x.test"
    assert config.store.path == tmp_path / "bartizan-data"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"unknown": 1}, "unknown"),
        ({"false_alarm_rate": 0}, "false_alarm_rate"),
        ({"false_alarm_rate": 0.9}, "false_alarm_rate"),
        ({"systems": []}, "systems"),
        ({"systems": [SYSTEM, SYSTEM]}, "same name"),
        ({"systems": [SYSTEM | {"name": "Bad Name"}]}, "systems.0.name"),
        ({"systems": [SYSTEM | {"kind": "magic"}]}, "systems.0.kind"),
        ({"systems": [SYSTEM | {"upstream": {"url": "ftp://x.test"}}]}, "systems.0.upstream.url"),
        ({"systems": [SYSTEM | {"upstream": {"url": "http://user:pw@x.test"}}]}, "credentials"),
        ({"systems": [SYSTEM | {"passthrough": ["v1"]}]}, "passthrough"),
        ({"systems": [SYSTEM | {"passthrough": ["/v1/../admin"]}]}, "passthrough"),
        ({"limits": {"body_bytes": -1}}, "limits.body_bytes"),
        ({"systems": [SYSTEM | {"fingerprint": {"model": "m"}}]}, "kind predict have a fingerprint"),
        ({"systems": [SYSTEM | {"kind": "predict", "turns": {"watch": False}}]}, "kind chat have turns"),
        ({"systems": [SYSTEM | {"turns": {"session_rate": 0}}]}, "turns.session_rate"),
        ({"systems": [SYSTEM | {"containment": {"attack": "degrade"}}]}, "no digits"),
        ({"version": 2}, "version"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, where):
    with pytest.raises(ConfigError) as caught:
        from_mapping({"systems": [SYSTEM]} | change, base=tmp_path)
    assert where in caught.value.message
    assert "pw" not in caught.value.message


def test_files_that_are_no_configuration(tmp_path):
    for name, content in (
        ("missing", None),
        ("bad.yaml", b"a: [1"),
        ("binary.yaml", b"\xff\xfe\x00"),
        ("list.yaml", b"- 1"),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert caught.value.hint


def test_relative_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "bartizan.yaml"
    path.write_text(
        json.dumps({"store": {"path": "d"}, "systems": [SYSTEM | {"calibration": {"file": "t"}}]})
    )
    config = load(path)
    assert config.store.path == tmp_path / "d"
    assert config.systems[0].calibration.file == tmp_path / "t"


def test_secrets_come_from_the_environment_and_must_be_there(monkeypatch):
    monkeypatch.setenv("A_KEY", "v")
    assert secret("A_KEY") == "v"
    assert secret(None) is None
    with pytest.raises(ConfigError, match="B_KEY"):
        secret("B_KEY")


def test_the_schema_describes_every_key():
    text = schema()
    assert all(key in text for key in ("false_alarm_rate", "passthrough", "keep_content", "canary_envs"))


def test_a_system_is_found_by_name_or_by_being_alone(tmp_path):
    one = from_mapping({"systems": [SYSTEM]}, base=tmp_path)
    assert one.system(None).name == "a"
    two = from_mapping({"systems": [SYSTEM, SYSTEM | {"name": "b"}]}, base=tmp_path)
    assert two.system("b").name == "b"
    for name in (None, "c"):
        with pytest.raises(ConfigError) as caught:
            two.system(name)
        assert "a, b" in caught.value.hint
