"""What reading a message has gathered so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from bartizan.errors import ProtocolError
from bartizan.features.digest import digest_text
from bartizan.protocols.fields import Fields, unknown
from bartizan.protocols.limits import Limits, is_label
from bartizan.types import Origin, Part, PartKind

UNKNOWN_FIELD = "a field that this protocol does not define"


class Gathered:
    """Collects the parts of one message, and what no part can hold.

    Args:
        limits: How much there may be.
    """

    __slots__ = ("_left", "_limits", "_more", "_unjudged", "parts")

    def __init__(self, limits: Limits) -> None:
        self.parts: list[Part] = []
        self._unjudged: list[tuple[str, str]] = []
        self._limits = limits
        self._left = limits.pieces
        self._more = 0

    def text(self, kind: PartKind, origin: Origin, path: str, text: str, name: str = "") -> None:
        """Add a textual part."""
        self.parts.append(Part(kind, origin, path, text, None, name, digest_text(kind, origin, name, text)))

    def label(self, origin: Origin, path: str, name: str) -> None:
        """Add a name as text, unless it is a plain identifier."""
        if name and not is_label(name):
            self.text(PartKind.TEXT, origin, path, name)

    def fields(self, tree: dict[str, Any], fields: Fields, where: str) -> None:
        """Note what stands under unknown keys. Cheap where every key is known.

        Raises:
            ProtocolError: ``ambiguous_key`` or ``too_many_keys``.
        """
        if not tree.keys() <= fields.known:
            for pointer, _ in unknown(tree, fields, where):
                self.skip(pointer, UNKNOWN_FIELD)

    def skip(self, path: str, why: str) -> None:
        """Note content that nobody can judge."""
        if len(self._unjudged) < self._limits.unjudged:
            self._unjudged.append((path, why))
        else:
            self._more += 1

    def spend(self, count: int, where: str) -> None:
        """Count pieces against the limit.

        Raises:
            ProtocolError: 413 ``too_many_pieces``.
        """
        self._left -= count
        if self._left < 0:
            raise ProtocolError(
                f"the message holds more than {self._limits.pieces} pieces of content",
                status=413,
                code="too_many_pieces",
                param=where,
                hint="join small pieces into larger ones, or send fewer",
            )

    @property
    def unjudged(self) -> tuple[tuple[str, str], ...]:
        """Return what was skipped, with one entry for what went beyond the limit."""
        if self._more:
            return (*self._unjudged, ("", f"{self._more} more pieces that nobody can judge"))
        return tuple(self._unjudged)


def refuse(
    message: str, param: str | None = None, *, code: str = "invalid_request", hint: str = ""
) -> NoReturn:
    """Raise the error for a message that breaks its protocol."""
    raise ProtocolError(message, code=code, param=param, hint=hint)


def upstream_error(error: ProtocolError) -> ProtocolError:
    """Return the same complaint about an upstream's answer."""
    return ProtocolError(
        f"the upstream's answer can't be understood: {error.message}",
        status=502,
        code="upstream_invalid_response",
        param=error.param,
        side="upstream",
        hint="check that the system's protocol is the one its upstream speaks",
    )


def seed(parts: Iterable[Part], model: str) -> str:
    """Return what stays the same during a conversation: the model, and how it began."""
    operator = user = ""
    for part in parts:
        if part.kind is PartKind.TEXT and part.origin is Origin.USER:
            user = part.digest
            break
        if part.kind is PartKind.TEXT and part.origin is Origin.OPERATOR and not operator:
            operator = part.digest
    return f"{model}|{operator}|{user}"
