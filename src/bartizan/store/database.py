"""Opens the query store's database. The only place that knows one engine from another."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from bartizan.errors import ConfigError
from bartizan.store.layout import FILE_MODE, Layout

BUSY_MS = 5_000


def open_engine(layout: Layout, url: str | None) -> Engine:
    """Return an engine for the URL, or for the SQLite file in the data directory.

    Connecting happens later; a database that is down is no error here.

    Raises:
        ConfigError: The URL makes no sense, or its driver is not installed.
    """
    target: str | URL = URL.create("sqlite", database=str(layout.database)) if url is None else url
    try:
        engine = create_engine(target, pool_pre_ping=True, hide_parameters=True)
    except (ArgumentError, ImportError, ValueError) as error:
        raise ConfigError(
            f"the query store can't be opened: {type(error).__name__}",
            hint="check the database URL, and that its driver is installed",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        if url is None:
            # Made here for its mode; SQLite gives its journal files the same.
            os.close(os.open(layout.database, os.O_RDWR | os.O_CREAT, FILE_MODE))
    return engine


def explain(error: SQLAlchemyError) -> str:
    """Return one line about a database error, without statements and parameters."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    # The ledger is what survives a power cut; the projection only has to stay consistent.
    cursor.execute("PRAGMA synchronous=NORMAL")
    # What retention deletes is overwritten, not only unlinked.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()
