import numpy as np
import pytest

from bartizan.assembly import sessions_path
from bartizan.calibration import session_file
from bartizan.cli.simulate_sessions import simulate_sessions
from bartizan.errors import CalibrationError
from bartizan.monitoring.sessions import SessionWatch
from bartizan.types import Rows


def model(rows):
    p = 1 / (1 + np.exp(-rows.sum(axis=1)))
    return Rows(rows, np.stack([1 - p, p], axis=1))


def test_the_table_is_where_the_gateway_looks_and_says_what_it_certifies(tmp_path, capsys):
    rng = np.random.default_rng(0)
    path = simulate_sessions("fraud", rng.normal(size=(400, 4)), model, tmp_path, rng, sessions=300)
    assert path == sessions_path(tmp_path, "fraud")
    assert path.stat().st_mode & 0o077 == 0
    table = session_file.decode(path.read_bytes())
    watch = SessionWatch(table, b"k" * 32)
    assert watch.level.rate > 1e-3
    said = capsys.readouterr().err
    assert f"1 in {1 / watch.level.rate:,.0f} benign sessions" in said
    assert "1 in 1,000 needs 4,603 ranked sessions" in said


def test_a_model_without_outputs_is_said(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(CalibrationError, match="no outputs"):
        simulate_sessions("fraud", rng.normal(size=(400, 4)), Rows, tmp_path, rng, sessions=300)
