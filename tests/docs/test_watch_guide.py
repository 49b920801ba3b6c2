"""The guide's example is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

from bartizan.cli.__main__ import main

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "watch.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.S | re.M)


def telling(text):
    """What must be as shown: verdicts, streams and principals; estimates may move a little."""
    kept = (line for line in text.splitlines() if re.match(r"[A-Z]{3}|  where|  who|[0-9]+,", line))
    return [re.sub(r"  al-.*", "", line.rstrip()) for line in kept]


def test_the_example_prints_what_the_guide_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", blocks("python")[0]], check=True, timeout=60)
    commands = [line.split()[1:] for block in blocks("console") for line in block.splitlines()]
    notes, alarms = blocks("text")
    assert main(commands[0]) == 1
    shown = capsys.readouterr()
    assert shown.err == notes
    assert telling(shown.out) == telling(alarms)
    assert "  who      client-7" in telling(alarms)
    assert main(commands[1]) == 1
    (tmp_path / "today.csv").rename("tomorrow.csv")
    assert main(commands[2]) == 1
