"""The key that signs checkpoints: made at first use, never overwritten."""

from __future__ import annotations

from bartizan.errors import LedgerError
from bartizan.store.layout import Layout, write_once
from bartizan.store.notes import Signer, Verifier, new_signer, parse_signer, parse_verifier


def load_signer(layout: Layout, origin: str, *, fresh: bool) -> Signer:
    """Return the ledger's signer, and see that its public half lies beside the ledger.

    Args:
        layout: The data directory.
        origin: The ledger's name.
        fresh: The ledger has no entries and no checkpoint yet, so a key may be made.

    Raises:
        LedgerError: The key is missing, malformed, of another ledger, or not the one whose
            public half the ledger has.
    """
    try:
        signer = parse_signer(layout.signing_key.read_text("utf-8").rstrip("\n"))
    except FileNotFoundError:
        if not fresh:
            raise LedgerError(
                f"the signing key {layout.signing_key} is missing",
                hint="restore it from a backup; without it this ledger can be verified and not continued",
            ) from None
        signer = new_signer(origin)
        write_once(layout.signing_key, f"{signer.exported()}\n".encode())
    except UnicodeDecodeError as error:
        raise LedgerError(f"the signing key {layout.signing_key} is damaged") from error
    if signer.verifier.name != origin:
        raise LedgerError(
            f"this ledger's name is {signer.verifier.name!r}, not {origin!r}",
            hint="a ledger keeps its name: set the store's origin back, or use another path",
        )
    if fresh and not layout.verifier.exists():
        write_once(layout.verifier, f"{signer.verifier}\n".encode())
    if load_verifier(layout) != signer.verifier:
        raise LedgerError(f"{layout.verifier} is not the public half of {layout.signing_key}")
    return signer


def load_verifier(layout: Layout) -> Verifier:
    """Return the public key that lies beside the ledger.

    Raises:
        LedgerError: It is missing or malformed.
    """
    try:
        text = layout.verifier.read_text("utf-8")
    except FileNotFoundError:
        raise LedgerError(f"the verifier key {layout.verifier} is missing") from None
    except UnicodeDecodeError:
        raise LedgerError(f"the verifier key {layout.verifier} is damaged") from None
    verifier = parse_verifier(text[:-1])
    if text != f"{verifier}\n":
        raise LedgerError(f"the verifier key {layout.verifier} is damaged")
    return verifier
