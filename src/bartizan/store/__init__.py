"""The record of what happened: an append-only ledger, and a query store projected from it."""

from bartizan.store.proofs import proof_json, prove_from_files, verify_proof
from bartizan.store.queries import Queries
from bartizan.store.reading import open_reader
from bartizan.store.store import Store
from bartizan.store.verification import Report, verify
from bartizan.store.views import (
    Bucket,
    Event,
    EventQuery,
    MeasuredRow,
    Proof,
    StoreHealth,
    StoreSettings,
    StreamPoint,
)

__all__ = [
    "Bucket",
    "Event",
    "EventQuery",
    "MeasuredRow",
    "Proof",
    "Queries",
    "Report",
    "Store",
    "StoreHealth",
    "StoreSettings",
    "StreamPoint",
    "open_reader",
    "proof_json",
    "prove_from_files",
    "verify",
    "verify_proof",
]
