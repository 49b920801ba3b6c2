"""What the documentation shows must work."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bartizan import registry
from bartizan.cli.__main__ import VERBS
from bartizan.config import Config, from_mapping

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.S | re.M)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "BLOCK" in done.stdout


@pytest.mark.parametrize("text", blocks("yaml"))
def test_configurations_are_valid(text, tmp_path):
    assert isinstance(from_mapping(yaml.safe_load(text), base=tmp_path), Config)


def test_every_verb_in_the_readme_exists_and_every_verb_is_in_it():
    shown = set(re.findall(r"^bartizan (\w+)", README, flags=re.M)) | {"demo"}
    assert shown == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(verb):
    done = subprocess.run(
        [sys.executable, "-m", "bartizan.cli", verb, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: bartizan" in done.stdout


def test_help_lists_verbs_and_exit_codes():
    done = subprocess.run(
        [sys.executable, "-m", "bartizan.cli", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert all(verb in done.stdout for verb in VERBS)
    assert "exit codes" in done.stdout


def test_every_detector_is_documented():
    pages = "\n".join(p.read_text() for p in (ROOT / "docs" / "concepts").glob("*.md"))
    missing = [n for n in registry.names(registry.DETECTORS) if n not in pages]
    assert not missing


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
