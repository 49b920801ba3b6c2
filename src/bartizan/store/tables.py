"""Tables of the query store: a projection of the ledger that may be dropped at any time,
and the history of streams beside it.

Only portable types and statements: the same code runs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

SCHEMA = 2
metadata = MetaData()
kept = MetaData()
"""Tables that are no projection, and stay when the others are dropped and rebuilt."""

# SQLite keeps rows in the order of a key of exactly this type, without a second index.
_position = BigInteger().with_variant(Integer, "sqlite")

progress = Table(
    "progress",
    metadata,
    Column("ledger", Text, primary_key=True, comment="verifier key string of the ledger"),
    Column("next_position", BigInteger, nullable=False),
    Column("schema_version", Integer, nullable=False),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("position", _position, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, index=True),
    Column("time", Double, nullable=False, index=True),
    Column("system", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("session", Text, nullable=False, index=True),
    Column("model", Text, nullable=False),
    Column("effect", SmallInteger, nullable=False),
    Column("enforced", SmallInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("p_value", Double),
    Column("status", BigInteger, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("added_us", BigInteger, nullable=False),
    Column("upstream_us", BigInteger, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("unjudged", Integer, nullable=False),
    Column("detectors", Text, nullable=False, comment="|name|name|"),
    Column("body", LargeBinary, nullable=False, comment="the ledger entry"),
    Index("exchanges_principal_time", "principal", "time"),
    Index("exchanges_effect_time", "effect", "time"),
    Index("exchanges_system_time", "system", "time"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("position", _position, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, index=True),
    Column("time", Double, nullable=False, index=True),
    Column("system", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the ledger entry"),
    Index("alarms_system_time", "system", "time"),
)

concerned = Table(
    "concerned",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("principal", Text, primary_key=True),
    Index("concerned_principal", "principal", "position"),
)

stream_points = Table(
    "stream_points",
    kept,
    Column("system", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("last", Double, nullable=False, comment="log evidence at the end of the minute"),
    Column("highest", Double, nullable=False, comment="largest log evidence in it"),
    Column("threshold", Double, nullable=False),
    Column("value", Double, comment="mean, or the share of the commonest category"),
    Column("events", BigInteger, nullable=False),
    Index("stream_points_minute", "minute"),
)

minutes = Table(
    "minutes",
    metadata,
    Column("system", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("effect", SmallInteger, primary_key=True, autoincrement=False),
    Column("exchanges", BigInteger, nullable=False),
    Column("added_us", BigInteger, nullable=False),
    Index("minutes_minute", "minute"),
)

measured = Table(
    "measured",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("system", Text, nullable=False),
    Column("cell", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("principal", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("maxima", Text, nullable=False, comment="JSON object"),
    Column("p_value", Double),
    Column("flagged", Boolean, nullable=False),
    Index("measured_system_cell_time", "system", "cell", "time"),
    Index("measured_system_time", "system", "time"),
)
