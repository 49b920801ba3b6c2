import pytest

from bartizan.cli import __main__ as command
from bartizan.cli.__main__ import main


def test_without_a_verb_it_helps(capsys):
    assert main([]) == 2
    assert "verbs" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--no-such-option"], ["ledger"]])
def test_wrong_usage_is_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_missing_configuration_is_2_with_a_hint(tmp_path, capsys):
    assert main(["serve", "-c", str(tmp_path / "none.yaml")]) == 2
    err = capsys.readouterr().err
    assert "can't read" in err
    assert "hint:" in err
    assert "Traceback" not in err


def test_what_nobody_foresaw_is_3_without_a_traceback(monkeypatch, capsys):
    import bartizan.cli.config as verb

    def broken(args):
        raise RuntimeError("boom")

    monkeypatch.setattr(verb, "run", broken)
    assert main(["config", "schema"]) == 3
    assert "internal error: RuntimeError: boom" in capsys.readouterr().err
    monkeypatch.setenv(command.DEBUG_ENV, "1")
    with pytest.raises(RuntimeError):
        main(["config", "schema"])


def test_config_check_says_what_is_certified(tmp_path, capsys):
    path = tmp_path / "bartizan.yaml"
    path.write_text(
        "systems: [{name: a, kind: chat, upstream: {url: 'http://x.test'}}, "
        "{name: b, kind: predict, upstream: {url: 'http://x.test'}}]"
    )
    assert main(["config", "check", "-c", str(path)]) == 0
    out = capsys.readouterr().out
    assert "request.user: certified 1 in 1,000" in out
    assert "not calibrated" in out
