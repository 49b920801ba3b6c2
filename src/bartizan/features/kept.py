"""Sessions and accounts as bytes, so that a restart forgets nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec
import numpy as np

from bartizan.features.principals import Account, Live, Tracker
from bartizan.features.sessions import CELLS, Chain, State
from bartizan.features.sketch import Scale

FORMAT: Final = 1

_CHAINS = "_chains"
_BLOOM = "_bloom"


class _Array(msgspec.Struct, array_like=True):
    kind: str
    shape: list[int]
    data: bytes


class _ChainData(msgspec.Struct, array_like=True):
    id: int
    origin: _Array
    label: int
    best: float
    length: int


class _StateData(msgspec.Struct):
    plain: dict[str, Any]
    arrays: dict[str, _Array]
    chains: list[_ChainData]
    members: list[int]
    cells: bytes


class _LiveData(msgspec.Struct):
    id: int
    owner: str
    state: _StateData
    statistic: float
    detector: str
    told: list[str]
    checked: int


class _AccountData(msgspec.Struct, array_like=True):
    name: str
    session: int
    linked: int
    last: float
    evidence: float
    sessions: int


class _TrackerData(msgspec.Struct):
    format: int
    live: list[_LiveData]
    common: list[_AccountData]
    protected: list[_AccountData]
    lineages: list[int]
    next: int
    index: list[list[tuple[bytes, int]]]


def encode(tracker: Tracker) -> bytes:
    """Return everything a tracker remembers."""
    return msgspec.msgpack.encode(
        _TrackerData(
            FORMAT,
            [
                _LiveData(n.id, n.owner, _pack(n.state), n.statistic, n.detector, n.told, n.checked)
                for n in tracker.live.values()
            ],
            _accounts(tracker.tiers.common),
            _accounts(tracker.tiers.protected),
            list(tracker.lineages),
            tracker.next,
            tracker.index.entries(),
        )
    )


def restore(tracker: Tracker, data: bytes) -> None:
    """Let a tracker of the same scale and key remember what :func:`encode` returned.

    Raises:
        ValueError: The bytes are no such memory.
    """
    try:
        raw = msgspec.msgpack.decode(data, type=_TrackerData)
        if raw.format != FORMAT:
            raise ValueError(f"format {raw.format} is not {FORMAT}")
        live = {
            n.id: Live(
                n.id,
                n.owner,
                _unpack(n.state, tracker.scale, tracker.index.width),
                n.statistic,
                n.detector,
                n.told,
                n.checked,
            )
            for n in raw.live
        }
        if any(a.session not in live for a in (*raw.common, *raw.protected)):
            raise ValueError("an account without its session")
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a memory of sessions: {error}") from error
    tracker.live = live
    tracker.tiers.common = _read(raw.common)
    tracker.tiers.protected = _read(raw.protected)
    tracker.lineages = OrderedDict((number, None) for number in raw.lineages)
    tracker.next = raw.next
    tracker.index.load(raw.index)


def _accounts(tier: OrderedDict[str, Account]) -> list[_AccountData]:
    return [
        _AccountData(name, a.session, a.linked, a.last, a.evidence, a.sessions) for name, a in tier.items()
    ]


def _read(accounts: list[_AccountData]) -> OrderedDict[str, Account]:
    return OrderedDict(
        (a.name, Account(a.session, a.linked, a.last, a.evidence, a.sessions)) for a in accounts
    )


def _pack(state: State) -> _StateData:
    plain: dict[str, Any] = {}
    arrays: dict[str, _Array] = {}
    for name in State.__slots__:
        value = getattr(state, name)
        if isinstance(value, np.ndarray):
            arrays[name] = _array(value)
        elif name not in (_CHAINS, _BLOOM, "law", "near_distance"):
            plain[name] = value
    members: list[Chain] = state._chains
    unique = {chain.id: chain for chain in members}
    return _StateData(
        plain,
        arrays,
        [_ChainData(c.id, _array(c.origin), c.label, c.best, c.length) for c in unique.values()],
        [chain.id for chain in members],
        state._bloom.to_bytes(CELLS // 8, "little"),
    )


def _unpack(data: _StateData, scale: Scale, width: int) -> State:
    state = State(width, scale.near, scale.law, 0.0)
    for name, value in data.plain.items():
        setattr(state, name, value)
    for name, packed in data.arrays.items():
        setattr(state, name, _values(packed))
    chains: dict[int, Chain] = {}
    for raw in data.chains:
        chain = chains[raw.id] = Chain(raw.id, _values(raw.origin), raw.label, raw.best)
        chain.length = raw.length
    state._chains = [chains[number] for number in data.members]
    state._bloom = int.from_bytes(data.cells, "little")
    return state


def _array(values: np.ndarray[Any, Any]) -> _Array:
    return _Array(values.dtype.str, list(values.shape), values.tobytes())


def _values(packed: _Array) -> Any:
    return np.frombuffer(packed.data, packed.kind).reshape(packed.shape).copy()
