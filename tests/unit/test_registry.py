import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from bartizan import registry
from bartizan.errors import ExtensionError


def test_everything_registered_loads_under_its_own_name():
    for name in registry.names(registry.DETECTORS):
        assert registry.detector(name).spec.name == name
    assert {p.name for k in ("chat", "predict") for p in registry.protocols_for(k)} == set(
        registry.names(registry.PROTOCOLS)
    )


def test_bodies_that_do_not_say_their_protocol_are_chat_completions():
    assert registry.protocols_for("chat")[0].name == "openai-chat"
    assert len(registry.protocols_for("chat")) > 1


def test_an_unknown_detector_names_the_known_ones():
    with pytest.raises(ExtensionError) as caught:
        registry.detector("text.magic")
    assert "text.hidden" in caught.value.hint


@pytest.mark.parametrize("target", ["no_such_module:X", "bartizan.types:NoSuchClass", "json:dumps"])
def test_a_plug_in_that_does_not_load_stops_start_up(monkeypatch, target):
    point = EntryPoint("text.broken", target, registry.DETECTORS)
    monkeypatch.setattr(registry, "names", lambda group: {"text.broken": point})
    with pytest.raises(ExtensionError, match=r"text\.broken"):
        registry.detector("text.broken")


def test_options_it_does_not_take_are_an_error():
    with pytest.raises(ExtensionError, match="options"):
        registry.detector("text.hidden", {"volume": 11})


def test_the_hot_path_loads_no_console_and_no_learning_framework():
    code = (
        "import sys, bartizan.gateway.server, bartizan.guard\n"
        "from bartizan import registry\n"
        "[registry.detector(n) for n in registry.names(registry.DETECTORS)]\n"
        "print(' '.join(sorted({m.partition('.')[0] for m in sys.modules} | "
        "{m for m in sys.modules if m.startswith('bartizan.')})))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {
        "sklearn",
        "torch",
        "transformers",
        "onnxruntime",
        "openai",
        "tritonclient",
        "bartizan.console",
    }
    assert not {m for m in loaded if m.startswith(("bartizan.console", "bartizan.cli"))}


def test_importing_the_package_is_cheap():
    code = "import sys, bartizan; print(len([m for m in sys.modules if m.startswith('numpy')]))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "0\n"
    )
