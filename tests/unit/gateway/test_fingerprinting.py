import asyncio
import contextlib
import json
import logging
import stat

import numpy as np
import pytest
from tests.unit.monitoring.models import CLASSES, COLUMNS, Model, rows

from bartizan.alarms import Cause
from bartizan.calibration.table import Table
from bartizan.config import from_mapping
from bartizan.detectors.rows.neighbours import Neighbours
from bartizan.gateway.fingerprinting import (
    LIVE_ROWS,
    PAUSES,
    RENEW_CHECKS,
    fingerprint_task,
    reference_of,
    rows_in,
)
from bartizan.gateway.manners import Overheard
from bartizan.gateway.served import Served
from bartizan.monitoring.enrolment import enrol
from bartizan.monitoring.fingerprint_file import (
    fingerprint_path,
    load_fingerprint,
    save_fingerprint,
    state_path,
)

NOW = 1_000_000.0


class Answered:
    def __init__(self, status, body):
        self.status, self.headers, self._body = status, [(b"content-type", b"application/json")], body

    async def chunks(self):
        yield self._body


class Upstream:
    """Answers from a function of rows; remembers what it was sent."""

    def __init__(self, model):
        self.model, self.status, self.sent = model, 200, []

    @contextlib.asynccontextmanager
    async def send(self, method, path, headers, body):
        self.sent.append((method, path, headers, body))
        yield Answered(self.status, self.answer(method, body))

    def answer(self, method, body):
        if method == "GET":
            entry = {"name": "x", "datatype": "FP64", "shape": [-1, COLUMNS]}
            return json.dumps({"name": "m", "inputs": [entry]}).encode()
        (tensor,) = json.loads(body)["inputs"]
        outputs = self.model(np.array(tensor["data"]).reshape(tensor["shape"]))
        answer = {"name": "probabilities", "datatype": "FP64", "shape": list(outputs.shape)}
        return json.dumps({"outputs": [answer | {"data": outputs.reshape(-1).tolist()}]}).encode()

    async def close(self):
        pass


def served(path, upstream, fitted=None, token=None, **settings):
    system = {"name": "fraud", "kind": "predict", "upstream": {"url": "http://x.test"}}
    system["fingerprint"] = {"model": "m", **settings}
    config = from_mapping({"systems": [system], "store": {"path": str(path)}}, base=path).systems[0]

    class Pipeline:
        table = Table("t", 0.0, {}, {} if fitted is None else {"rows.neighbours": fitted})

    return Served(config, "", Pipeline(), (), Overheard(upstream), None, token)


class Told(list):
    grounds: list


def task(path, upstream, **more):
    told = Told()
    told.grounds = []
    made = fingerprint_task(
        served(path, upstream, **more), path, b"installation", on_alarm=told.append,
        on_ground=told.grounds.append, clock=lambda: NOW, rng=np.random.default_rng(1),
    )  # fmt: skip
    return made, told


def enrolled(path, ask=None, **more):
    made = enrol(rows(), ask or Model(), np.random.default_rng(2), created=NOW, scores=CLASSES, **more)
    save_fingerprint(fingerprint_path(path, "fraud"), made)
    return made


def check(made, times=1):
    async def go():
        for _ in range(times):
            await made.check()

    asyncio.run(go())


def test_left_out_it_is_off(tmp_path):
    on = served(tmp_path, Upstream(Model()))
    off = on.config.model_copy(update={"fingerprint": None})
    system = Served(off, "", on.pipeline, (), on.upstream, None, None)
    assert (
        fingerprint_task(
            system, tmp_path, b"k", on_alarm=print, clock=lambda: NOW, rng=np.random.default_rng()
        )
        is None
    )


def test_an_unchanged_model_is_said_to_be_as_enrolled(tmp_path):
    enrolled(tmp_path)
    made, told = task(tmp_path, Upstream(Model()))
    check(made, 5)
    assert made.status() == "as enrolled; steady model, checks: 5; enrolled 1970-01-12 13:46 UTC"
    assert not told
    assert stat.S_IMODE(state_path(tmp_path, "fraud").stat().st_mode) == 0o600


def test_another_model_alarms_once_and_grounds_stay_until_it_is_back(tmp_path, caplog):
    print_ = enrolled(tmp_path, canaries=8)
    upstream = Upstream(Model(7))
    made, told = task(tmp_path, upstream)
    check(made, 6)
    (alarm,) = told
    assert (alarm.cause, alarm.system, alarm.time) == (Cause.MODEL_CHANGED, "fraud", NOW)
    assert "CHANGED: the model answers" in made.status()
    assert [g.kind for g in told.grounds] == ["canary"]
    upstream.model = Model()
    check(made, 8)
    assert told.grounds[-1] is None
    assert made.moved is None
    assert not any(str(v) in caplog.text for v in print_.inputs[:, 0])


def test_without_a_fingerprint_it_is_made_from_the_calibrations_reference(tmp_path):
    reference = rows()
    fitted = dict(Neighbours().fit(reference, Model()(reference)))
    made, _ = task(tmp_path, Upstream(Model()), fitted=fitted, canaries=8)
    check(made)
    print_ = load_fingerprint(fingerprint_path(tmp_path, "fraud"))
    assert print_.steady
    assert print_.scores == CLASSES
    assert (
        (print_.inputs >= reference.min(axis=0) - 1e-3) & (print_.inputs <= reference.max(axis=0) + 1e-3)
    ).all()
    check(made)
    assert "as enrolled; steady model, checks: 1;" in made.status()


def test_with_neither_it_says_what_to_do(tmp_path):
    made, _ = task(tmp_path, Upstream(Model()))
    check(made)
    assert "bartizan calibrate" in made.status()
    assert reference_of(Table("t", 0.0, {})) is None


def client(overheard, row, path="/v2/models/m/infer", kind="application/json"):
    tensor = {"name": "x", "shape": [1, COLUMNS], "datatype": "FP64", "data": row.tolist()}

    async def send():
        body = json.dumps({"inputs": [tensor]}).encode()
        async with overheard.send("POST", path, [("content-type", kind)], body):
            pass

    asyncio.run(send())


def test_or_from_traffic_which_is_then_forgotten(tmp_path):
    made, _ = task(tmp_path, Upstream(Model()), canaries=8)
    check(made)
    seen = rows(LIVE_ROWS + 6, seed=4)
    for row in seen[: LIVE_ROWS - 1]:
        client(made._upstream, row)
    client(made._upstream, seen[0])  # known already
    client(made._upstream, seen[-1], path="/v2/models/other/infer")
    client(made._upstream, seen[-1], kind="application/octet-stream")
    check(made)
    assert f"not enrolled: {LIVE_ROWS - 1} of {LIVE_ROWS} different rows" in made.status()
    client(made._upstream, seen[-1])
    check(made, 2)
    assert "as enrolled; steady model, checks: 1;" in made.status()
    client(made._upstream, seen[-2])
    assert made._upstream.bodies() == ()


def test_requests_that_hold_no_rows_are_left_out():
    assert rows_in([]).shape == (0, 0)
    good = [
        json.dumps(
            {"inputs": [{"name": "x", "shape": [1, n], "datatype": "FP64", "data": [1.0] * n}]}
        ).encode()
        for n in (2, 3, 3)
    ]
    assert rows_in([b"", b"{}", *good]).tolist() == [[1.0, 1.0, 1.0]]


def test_a_new_fingerprint_on_disk_is_taken_up(tmp_path):
    enrolled(tmp_path)
    upstream = Upstream(Model(7))
    made, told = task(tmp_path, upstream)
    check(made)
    assert len(told) == 1
    enrolled(tmp_path, Model(7))
    check(made, 3)
    assert made.status().startswith("as enrolled; steady model, checks: 3;")
    assert told.grounds[-1] is None
    assert len(told) == 1


def test_what_was_seen_before_a_restart_is_still_said(tmp_path):
    enrolled(tmp_path)
    check(task(tmp_path, Upstream(Model(7)))[0], 2)
    made, told = task(tmp_path, Upstream(Model(7)))
    check(made)
    assert "CHANGED" in made.status()
    assert [g.kind for g in told.grounds] == ["canary"]
    assert not told


def test_an_answer_that_differs_once_is_said(tmp_path):
    enrolled(tmp_path)
    wrong, model = iter([True]), Model()
    made, told = task(tmp_path, Upstream(lambda b: Model(7)(b) if next(wrong, False) else model(b)))
    check(made, 3)
    assert "answers that differed once and, asked again, did not: 1" in made.status()
    assert not told


def test_an_upstream_that_refuses_is_counted_and_no_alarm(tmp_path):
    enrolled(tmp_path)
    upstream = Upstream(Model())
    made, told = task(tmp_path, upstream)
    check(made)
    upstream.status = 401
    check(made, 2)
    assert "checks not answered: 2; the last check failed: the upstream answered 401" in made.status()
    upstream.status = 200
    check(made)
    assert "failed" not in made.status()
    assert not told


@pytest.mark.parametrize("answer", [b"no JSON", b"{}", b'{"outputs": []}'])
def test_an_answer_that_is_none_is_said(tmp_path, answer):
    enrolled(tmp_path)
    upstream = Upstream(Model())
    upstream.answer = lambda *_: answer
    made, told = task(tmp_path, upstream)
    check(made)
    assert "as enrolled; steady model, checks: 0;" in made.status()
    assert made._trouble
    assert not told


def test_a_steady_model_that_begins_to_stray_is_watched_as_a_noisy_one(tmp_path, caplog):
    before = enrolled(tmp_path)
    rng, model = np.random.default_rng(3), Model()
    upstream = Upstream(
        lambda b: model(b) * (1 + 1e-7 * (rng.random() < 0.3) * rng.normal(size=(len(b), CLASSES)))
    )
    made, told = task(tmp_path, upstream)
    with caplog.at_level(logging.WARNING, "bartizan"):
        check(made, 20)
    after = load_fingerprint(fingerprint_path(tmp_path, "fraud"))
    assert not after.steady
    assert (after.answers == before.answers).all()
    assert "noisy model, checks" in made.status()
    assert "no longer steady" in caplog.text
    assert not told
    upstream.model = Model(7)
    check(made, 12)
    assert len(told) == 1


def test_half_of_a_swap_is_not_learnt_as_noise(tmp_path, caplog):
    before = enrolled(tmp_path)
    rng, one, other = np.random.default_rng(4), Model(), Model(7, close_to=Model(), step=2e-4)
    strange = Model(9)
    upstream = Upstream(lambda b: (one, other, strange)[rng.choice(3, p=[0.8, 0.15, 0.05])](b))
    made, told = task(tmp_path, upstream)
    with caplog.at_level(logging.WARNING, "bartizan"):
        check(made, 150)
    after = load_fingerprint(fingerprint_path(tmp_path, "fraud"))
    assert after.digest == before.digest
    assert "farther than arithmetic explains" in caplog.text
    assert len(told) == 1
    assert RENEW_CHECKS > 150
    assert caplog.text.count("its noise is measured") == 1


def test_pauses_have_an_exponential_law_and_depend_on_the_key(tmp_path):
    made, _ = task(tmp_path, Upstream(Model()), every_s=10)
    pauses = np.array([made._pause() for _ in range(4000)]) / 10
    assert 0.95 < pauses.mean() < 1.05
    assert 0.9 < pauses.std() < 1.1
    assert pauses.min() >= PAUSES[0]
    assert pauses.max() <= PAUSES[1]
    other, _ = task(tmp_path, Upstream(Model()), every_s=10)
    assert other._pause() == pytest.approx(10 * pauses[0])
    other._key = b"another"
    assert other._pause() != pytest.approx(10 * pauses[1])


def test_requests_carry_a_clients_manners_and_never_its_credentials(tmp_path):
    enrolled(tmp_path)
    upstream = Upstream(Model())
    made, _ = task(tmp_path, upstream, token="ours")
    overheard = made._upstream
    mine = [("user-agent", "scorer/3"), ("authorization", "Bearer theirs"), ("cookie", "c"), ("x-api-key", "k"),
            ("content-type", "application/json"), ("accept", "a/b"), ("x-session-id", "s")]  # fmt: skip

    async def client():
        async with overheard.send(
            "POST", "/v2/models/m/infer", mine, b'{"inputs": [{"shape": [1, 6], "data": [1, 2, 3, 4, 5, 6]}]}'
        ):
            pass
        async with overheard.send(
            "POST",
            "/v2/models/m/infer",
            [("content-type", "application/octet-stream")],
            b'{"inputs": [{"shape": [1, 6], "data": [1, 2, 3, 4, 5, 6]}]}',
        ):
            pass

    asyncio.run(client())
    check(made)
    method, path, headers, _ = upstream.sent[-1]
    assert (method, path) == ("POST", "/v2/models/m/infer")
    assert dict(headers) == {
        "user-agent": "scorer/3", "content-type": "application/json", "accept": "a/b",
        "authorization": "Bearer ours", "accept-encoding": "identity",
    }  # fmt: skip


def test_a_fingerprint_that_can_not_be_read_is_said(tmp_path):
    enrolled(tmp_path)
    fingerprint_path(tmp_path, "fraud").write_bytes(b"damaged")
    made, told = task(tmp_path, Upstream(Model()))
    check(made)
    assert "not a fingerprint" in made.status()
    assert not told
