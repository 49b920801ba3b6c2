"""Opens the query store for reading, beside the process that writes it: no lock, no ledger."""

from __future__ import annotations

from pathlib import Path

from bartizan.errors import LedgerError
from bartizan.store.database import open_engine
from bartizan.store.layout import Layout
from bartizan.store.queries import Queries


def open_reader(path: Path, database_url: str | None = None) -> Queries:
    """Open the query store of a data directory beside the process that writes it.

    Raises:
        LedgerError: There is none.
        ConfigError: The database URL can't be used.
    """
    layout = Layout(path)
    if database_url is None and not layout.database.is_file():
        raise LedgerError(f"there is no store in {path}", hint="give the data directory with --store")
    return Queries(open_engine(layout, database_url))
