"""Who may see the admin plane: a bearer token, or a browser session opened with it.

Sessions live in memory: a restart signs every browser out, and there is nothing to steal
from a disk. The session's cookie is a random name, never the token.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from bartizan.errors import ConfigError

SESSION_SECONDS = 12 * 3600.0
MAX_SESSIONS = 256
FAILURE_WINDOW_SECONDS = 60.0
MAX_FAILURES = 5
"""Failed logins of one address within the window, after which it has to wait."""
MAX_ADDRESSES = 4096
MIN_TOKEN_LENGTH = 16


class Token:
    """The admin token, compared in constant time.

    Args:
        value: The token; ``None`` lets everybody in, which is for tests.

    Raises:
        ConfigError: The token is too short to resist guessing.
    """

    def __init__(self, value: str | None) -> None:
        if value is not None and len(value) < MIN_TOKEN_LENGTH:
            raise ConfigError(
                f"the admin token is shorter than {MIN_TOKEN_LENGTH} characters",
                hint='make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"',
            )
        self._digest = None if value is None else _digest(value)

    @property
    def required(self) -> bool:
        """Whether anybody has to show a token at all."""
        return self._digest is not None

    def matches(self, given: str) -> bool:
        """Whether ``given`` is the token. Takes the same time wherever they differ."""
        return self._digest is not None and hmac.compare_digest(self._digest, _digest(given))

    def authorizes(self, header: str) -> bool:
        """Whether an ``Authorization`` header carries the token as a bearer token."""
        scheme, _, credentials = header.partition(" ")
        return scheme.lower() == "bearer" and self.matches(credentials.strip())


class Sessions:
    """Open browser sessions; at most :data:`MAX_SESSIONS`, the oldest leaves first.

    Args:
        clock: Seconds since the epoch.
        new_id: Makes an unguessable name.
    """

    def __init__(self, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._expiry: dict[bytes, float] = {}  # in order of opening, hence of expiry

    def open(self) -> str:
        """Start a session and return its name."""
        name = self._new_id()
        while len(self._expiry) >= MAX_SESSIONS:
            del self._expiry[next(iter(self._expiry))]
        self._expiry[_digest(name)] = self._clock() + SESSION_SECONDS
        return name

    def valid(self, name: str) -> bool:
        """Whether a session of this name is open."""
        key = _digest(name)
        expiry = self._expiry.get(key)
        if expiry is None:
            return False
        if expiry <= self._clock():
            del self._expiry[key]
            return False
        return True

    def close(self, name: str) -> None:
        """End a session; one that is not open is no error."""
        self._expiry.pop(_digest(name), None)


class Failures:
    """Counts failed logins per address; keeps at most :data:`MAX_ADDRESSES` addresses.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def wait_s(self, address: str) -> int:
        """Return how many seconds an address has to wait; 0 if it may try."""
        started, count = self._windows.get(address, (0.0, 0))
        left = started + FAILURE_WINDOW_SECONDS - self._clock()
        return max(1, round(left)) if count >= MAX_FAILURES and left > 0 else 0

    def add(self, address: str) -> None:
        """Note a failed login."""
        now = self._clock()
        started, count = self._windows.pop(address, (now, 0))
        if started + FAILURE_WINDOW_SECONDS <= now:
            started, count = now, 0
        while len(self._windows) >= MAX_ADDRESSES:
            del self._windows[next(iter(self._windows))]
        self._windows[address] = (started, count + 1)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
