"""Baselines on disk: every one is kept, signed, and chained to what was decided before.

::

    DIR/
    ├── 0000-82b3ea05644410cd.bl   the anchor: a baseline's bytes, and the start of their SHA-256
    ├── 0000.note                  who signed it, when and why: a signed note
    ├── 0001-5be1b10b27a80f09.bl   the first promotion
    ├── 0001.note
    └── 0002.note                  a rollback: back to 0000

Files are only ever added. Each note names the digest of the baseline that it puts in force and the
hash of the note before it, so a changed, missing or swapped file is refused. Taking the *last* notes
away can't be noticed here; keep the newest note, or a ledger's checkpoint, elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from bartizan.errors import CalibrationError, LedgerError
from bartizan.monitoring.baseline import Baseline
from bartizan.monitoring.promotion import Promotion
from bartizan.monitoring.stored import decode, encode
from bartizan.store.layout import DIRECTORY_MODE, write_once
from bartizan.store.notes import Signer, Verifier, open_note
from bartizan.types import Value

HEAD: Final = "bartizan-baseline/1\n"
"""First line of a note: what this key signs here can't pass for a ledger's checkpoint."""

MAX_ENTRIES: Final = 10_000
MAX_BASELINE_BYTES: Final = 64 * 2**20
REASON_CHARACTERS: Final = 1000

VERIFIER: Final = "verifier.pub"
"""File in the directory with the key whose signatures count."""


class Entry(Value, frozen=True):
    """One decision about a system's baselines.

    Attributes:
        number: From 0.
        kind: ``anchor``: a person signed one; ``promotion`` or ``rollback`` of the rolling one.
        system: The protected system.
        time: Seconds since the epoch.
        baseline: Number of the entry whose baseline is in force from here on.
        digest: Hex SHA-256 of that baseline's bytes.
        anchor: Number of the entry whose baseline is the anchor.
        replaced: Number of the one that was in force before; that of the entry itself for an anchor.
        until: Time of the last event taken in since the anchor; ``None``: none was.
        reason: Why, in a person's words; of a promotion, what was not checked.
        previous: Hex SHA-256 of the note before; empty for the first.
    """

    number: int
    kind: Literal["anchor", "promotion", "rollback"]
    system: str
    time: float
    baseline: int
    digest: str
    anchor: int
    replaced: int
    until: float | None
    reason: str
    previous: str


class Archive:
    """The baselines of one system.

    Args:
        directory: Where they are; made at the first signature.
        system: The system's name.
        verifier: Whose signatures count.

    Raises:
        LedgerError: A note is not signed by this key, is of another system, or does not follow the
            one before; or a baseline in use is missing or not the one that was signed.
    """

    def __init__(self, directory: Path, system: str, verifier: Verifier) -> None:
        self.directory = directory
        self.system = system
        self.verifier = verifier
        self.entries: list[Entry] = []
        self._last = ""
        while len(self.entries) < MAX_ENTRIES:
            path = self._note(len(self.entries))
            if not path.exists():
                break
            self._take(_read(path, "note").decode("utf-8", "replace"))
        if any(self.directory.glob("*.note")) and len(list(self.directory.glob("*.note"))) != len(
            self.entries
        ):
            raise LedgerError(
                f"a note is missing in {self.directory}", hint="restore the directory from a backup"
            )

    @property
    def anchor(self) -> Baseline:
        """The anchor in force, read from disk and checked."""
        return self._baseline(self._latest.anchor)

    @property
    def current(self) -> Baseline:
        """The rolling baseline in force, read from disk and checked."""
        return self._baseline(self._latest.baseline)

    @property
    def path_of_anchor(self) -> Path:
        """Where the bytes of the anchor in force are."""
        number = self._latest.anchor
        return self._data(number, self.entries[number].digest)

    @property
    def until(self) -> float:
        """Time of the last event taken in since the anchor; rolling back does not free it."""
        until = self._latest.until
        return -float("inf") if until is None else until

    @property
    def promotions(self) -> int:
        """How many promotions there were since the anchor, those rolled back among them."""
        return sum(e.kind == "promotion" for e in self.entries[self._latest.anchor :])

    def sign(self, baseline: Baseline, *, reason: str, time: float, signer: Signer) -> Entry:
        """Make a baseline the anchor: a person's decision, for a reason.

        Raises:
            CalibrationError: There is no reason, or the baseline is a promoted one.
            LedgerError: It can't be written.
        """
        if baseline.epoch:
            raise CalibrationError(
                "a promoted baseline can't be an anchor: nothing is promised about it",
                hint="learn a baseline from events that a person has looked at",
            )
        number = len(self.entries)
        return self._add("anchor", signer, baseline, time, reason, (number, number, number), None)

    def add(self, promotion: Promotion, *, time: float, signer: Signer) -> Entry:
        """Put a promoted baseline in force."""
        last, number = self._latest, len(self.entries)
        reason = "; ".join(promotion.said) or "everything was checked"
        where = (number, last.anchor, last.baseline)
        until = max(promotion.until, self.until)
        return self._add("promotion", signer, promotion.baseline, time, reason, where, until)

    def rollback(self, *, reason: str, time: float, signer: Signer) -> Entry:
        """Go back to the baseline that the one in force replaced. Its window stays used up.

        Raises:
            CalibrationError: The anchor itself is in force, or there is no reason.
        """
        last = self._latest
        if last.baseline == last.anchor:
            raise CalibrationError(
                "the anchor itself is in force: there is nothing to go back to",
                hint="a person can sign another anchor",
            )
        back = self.entries[last.baseline].replaced
        where = (back, last.anchor, last.baseline)
        return self._add("rollback", signer, None, time, reason, where, last.until)

    @property
    def _latest(self) -> Entry:
        if not self.entries:
            raise CalibrationError(
                f"no baseline of {self.system} has been signed", hint="`bartizan baseline sign` signs one"
            )
        return self.entries[-1]

    def _add(
        self,
        kind: Literal["anchor", "promotion", "rollback"],
        signer: Signer,
        baseline: Baseline | None,
        time: float,
        reason: str,
        where: tuple[int, int, int],
        until: float | None,
    ) -> Entry:
        number = len(self.entries)
        if not reason.strip() or len(reason) > REASON_CHARACTERS or number >= MAX_ENTRIES:
            raise CalibrationError(
                f"a reason of 1 to {REASON_CHARACTERS} characters is needed",
                hint="say why, for those who ask later",
            )
        if signer.verifier != self.verifier:
            raise LedgerError("this key does not sign the baselines here")
        self.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if baseline is not None:
            data = encode(baseline)
            digest = hashlib.sha256(data).hexdigest()
            path = self._data(number, digest)
            if not path.exists():  # left by an addition that was interrupted before its note
                write_once(path, data)
        else:
            digest = self._baseline(where[0]).digest
        entry = Entry(
            number, kind, self.system, time, where[0], digest, where[1], where[2], until, reason, self._last
        )
        note = signer.sign(f"{HEAD}{msgspec.json.encode(entry).decode()}\n")
        try:
            write_once(self._note(number), note.encode())
        except FileExistsError:
            raise LedgerError(
                "somebody else changed the baselines meanwhile", hint="look at them again, then repeat"
            ) from None
        self._take(note)
        return entry

    def _take(self, note: str) -> None:
        number = len(self.entries)
        text = open_note(note, self.verifier)
        if not text.startswith(HEAD):
            raise LedgerError(f"note {number:04d} is no note of a baseline")
        try:
            entry = msgspec.json.decode(text.removeprefix(HEAD), type=Entry)
        except msgspec.MsgspecError as error:
            raise LedgerError(f"note {number:04d} is no note of a baseline: {error}") from error
        if (entry.number, entry.system, entry.previous) != (number, self.system, self._last):
            raise LedgerError(
                f"note {number:04d} does not belong here",
                hint="it is another system's, or does not follow the note before it",
            )
        self.entries.append(entry)
        self._last = hashlib.sha256(note.encode()).hexdigest()

    def _baseline(self, number: int) -> Baseline:
        digest = self.entries[number].digest
        path = self._data(number, digest)
        data = _read(path, "baseline")
        if hashlib.sha256(data).hexdigest() != digest:
            raise LedgerError(
                f"{path.name} is not the baseline that was signed", hint="restore it from a backup"
            )
        return decode(data)

    def _note(self, number: int) -> Path:
        return self.directory / f"{number:04d}.note"

    def _data(self, number: int, digest: str) -> Path:
        return self.directory / f"{number:04d}-{digest[:16]}.bl"


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BASELINE_BYTES + 1)
    except OSError as error:
        raise LedgerError(
            f"the {what} {path.name} can't be read: {error}", hint="restore it from a backup"
        ) from error
    if len(data) > MAX_BASELINE_BYTES:
        raise LedgerError(f"the {what} {path.name} is larger than any we write")
    return data
