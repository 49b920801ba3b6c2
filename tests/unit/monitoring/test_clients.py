import numpy as np
import pytest

from bartizan.errors import CalibrationError
from bartizan.monitoring import clients, searchers

ROWS = np.random.default_rng(0).normal(size=(50, 9))


def model(rows):
    odds = np.clip(rows.sum(axis=1), -30, 30)
    return np.column_stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))])


def benign(n=60, seed=1, **options):
    return list(clients.simulate_benign(ROWS, model, n, np.random.default_rng(seed), **options))


def test_every_kind_appears_and_every_query_has_the_models_answer():
    told = []
    found = benign(120, progress=lambda done, total: told.append((done, total)))
    assert {s.kind for s in found} == set(clients.KINDS)
    assert told[-1] == (120, 120)
    for session in found:
        assert 1 <= len(session.rows) <= clients.LONGEST
        assert np.allclose(session.outputs, model(session.rows))
        assert len(session.accounts) == len(session.rows)


def test_the_same_seed_gives_the_same_sessions():
    for first, second in zip(benign(30), benign(30), strict=True):
        assert first.kind == second.kind
        assert (first.rows == second.rows).all()


def test_patient_users_go_on_for_longer():
    usual, patient = (
        np.median([len(s.rows) for s in benign(80, patient=p) if s.kind == "ordinary"]) for p in (False, True)
    )
    assert patient > 4 * usual


def test_kernel_shap_asks_in_complementary_pairs():
    world = clients.World.of(ROWS)
    session = next(
        clients.run_clients(iter([("shap", clients.kernel_shap(world, np.random.default_rng(4)))]), model)
    )
    assert len(session.rows) > 8


@pytest.mark.parametrize("kind", searchers.KINDS)
def test_searches_run_within_the_datas_range(kind):
    world = clients.World.of(ROWS)
    waiting = ((kind, searchers.searching(kind, world, np.random.default_rng(k))) for k in range(3))
    for session in clients.run_clients(waiting, model):
        assert (session.rows >= ROWS.min(axis=0) - 1e-9).all()
        assert (session.rows <= ROWS.max(axis=0) + 1e-9).all()


@pytest.mark.parametrize("kind", ["coordinates", "boundary walk", "hop-skip-jump", "genetic"])
def test_searches_find_another_answer(kind):
    world, found = clients.World.of(ROWS), 0
    for k in range(6):
        target = searchers.Target(
            world, ROWS.min(axis=0), ROWS.max(axis=0), np.full(9, 1.0), ROWS[k], grid=False
        )
        search = searchers.KINDS[kind](target, np.random.default_rng(k))
        query = next(search)
        try:
            while True:
                query = search.send(model(query[0][None])[0])
        except StopIteration as end:
            if end.value is not None:
                label = model(end.value[None])[0].argmax()
                found += label != model(ROWS[k][None])[0].argmax()
    assert found >= 4


def test_one_row_is_too_few():
    with pytest.raises(CalibrationError):
        list(clients.simulate_benign(ROWS[:1], model, 3, np.random.default_rng(0)))
