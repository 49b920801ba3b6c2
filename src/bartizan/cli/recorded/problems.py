"""What can be wrong with a recording, and the count of it: nothing is lost silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bartizan.errors import BartizanError

MAX_NAMED = 5
"""How many lines or columns a report names before it only counts."""


class RecordingError(BartizanError):
    """A recorded stream can't be read as it stands."""


class UnreadableError(RecordingError):
    """One event of a recording can't be read; the others can.

    Args:
        where: ``line 7`` or ``row 7``.
        what: What is wrong with it.
        hint: What the reader should do next.
    """

    def __init__(self, where: str, what: str, *, hint: str = "") -> None:
        skipping = "--skip-unreadable leaves such events out"
        super().__init__(f"{where} {what}", hint=f"{hint}; {skipping}" if hint else skipping)


@dataclass(slots=True)
class Tally:
    """What was read, and what could not be taken as it stood.

    Attributes:
        events: Events handed on.
        skipped: Events left out because they can't be read.
        first_skipped: What was wrong with the first few of them.
        late: Events whose time lay before that of an event above.
        not_numbers: By numeric column: values that are not numbers.
        unknown_labels: Answers that the calibration never saw.
        unknown_columns: By column: values of columns that the calibration does not have.
        unknown_more: Values of further such columns, beyond those counted by name.
        anonymous: Events whose principal is not given.
    """

    events: int = 0
    skipped: int = 0
    first_skipped: list[str] = field(default_factory=list)
    late: int = 0
    not_numbers: Counter[str] = field(default_factory=Counter)
    unknown_labels: int = 0
    unknown_columns: Counter[str] = field(default_factory=Counter)
    unknown_more: int = 0
    anonymous: int = 0

    def skip(self, error: UnreadableError) -> None:
        """Count an event that can't be read."""
        self.skipped += 1
        if len(self.first_skipped) < MAX_NAMED:
            self.first_skipped.append(error.message)

    def unknown_column(self, name: str, values: int) -> None:
        """Count values of a column that the calibration does not have; names are bounded."""
        if name in self.unknown_columns or len(self.unknown_columns) < MAX_NAMED:
            self.unknown_columns[name] += values
        else:
            self.unknown_more += values

    def report(self) -> list[str]:
        """Return what a person should know, one sentence each."""
        said = []
        if self.skipped:
            said.append(f"{self.skipped:,} events left out as unreadable, first: {self.first_skipped[0]}")
        if self.late:
            said.append(f"{self.late:,} events out of time order, taken as of the time of the event above")
        for name, count in self.not_numbers.most_common(MAX_NAMED):
            said.append(f"{count:,} values of {name!r} are not numbers: counted as schema violations")
        if len(self.not_numbers) > MAX_NAMED:
            said.append(f"values that are not numbers in {len(self.not_numbers) - MAX_NAMED:,} more columns")
        if self.unknown_labels:
            said.append(
                f"{self.unknown_labels:,} answers of classes that the calibration does not have: "
                "counted as not answered"
            )
        for name, count in self.unknown_columns.items():
            said.append(f"{count:,} values of {name!r} not looked at: the calibration has no such column")
        if self.unknown_more:
            said.append(f"{self.unknown_more:,} values of further unknown columns not looked at")
        if self.anonymous:
            said.append(f"{self.anonymous:,} events without a principal, taken as one principal ''")
        return said
