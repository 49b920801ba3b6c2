"""What Bartizan raises.

::

    BartizanError                 message and a hint: what to do next
    ├── ConfigError               the configuration can't be used            (exit 2)
    ├── ExtensionError            a configured plug-in doesn't load          (exit 2)
    ├── ProtocolError             bytes that break a wire protocol           (4xx or 502)
    ├── CalibrationError          a rate can't be promised from this data    (exit 2)
    ├── LedgerError               the record doesn't verify                  (exit 1)
    └── BlockedError              a verdict that stops the caller            (exit 1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bartizan.types import Verdict


class BartizanError(Exception):
    """The base of everything Bartizan raises on purpose.

    Args:
        message: What is wrong, in one sentence.
        hint: What the reader should do next.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(BartizanError):
    """The configuration can't be used."""


class ExtensionError(BartizanError):
    """A configured detector or protocol doesn't load."""


class ProtocolError(BartizanError):
    """Bytes that break a wire protocol.

    Args:
        message: What is wrong; safe to show to the peer.
        status: The HTTP status that says so.
        code: A stable machine-readable code.
        param: Where in the message, if known.
        side: ``client`` or ``upstream``: who broke the protocol.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = "invalid_request",
        param: str | None = None,
        side: str = "client",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.param = param
        self.side = side


class CalibrationError(BartizanError):
    """A false-alarm rate can't be promised from the data at hand."""


class LedgerError(BartizanError):
    """The ledger does not verify, or refuses to be written."""

    exit_code = 1


class BlockedError(BartizanError):
    """Raised by :meth:`bartizan.Guard.require` when a verdict stops the caller."""

    exit_code = 1

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"blocked by rule {verdict.rule!r}", hint="read verdict.explain()")
        self.verdict = verdict
