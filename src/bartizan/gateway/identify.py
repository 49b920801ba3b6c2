"""Who is calling, and in which session."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from bartizan.config import Identity
from bartizan.errors import ConfigError
from bartizan.types import Principal

_KEY_BYTES = 32
_KEY_HEADERS = ("authorization", "x-api-key", "api-key")


def install_key(path: Path) -> bytes:
    """Return the key that names are hashed with, made on first use; readable by its owner alone.

    Raises:
        ConfigError: The file is damaged: names hashed without a key could be guessed back.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, os.urandom(_KEY_BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(made, path)  # whole or not at all, and never over another process's key
        except FileExistsError:
            pass
        finally:
            made.unlink()
    key = path.read_bytes()
    if len(key) < _KEY_BYTES:
        raise ConfigError(
            f"{path} is no key: it holds {len(key)} bytes",
            hint="restore it from a backup, or remove it to make a new one; callers then get new names",
        )
    return key


class Identifier:
    """Names callers. Credentials are hashed with an installation's own key and never kept.

    Args:
        identity: Which headers to believe.
        key: From :func:`install_key`.
    """

    def __init__(self, identity: Identity, key: bytes) -> None:
        self._identity = identity
        self._key = key

    def principal(
        self, headers: Mapping[str, str], address: str, session_seed: str, client_subject: str = ""
    ) -> Principal:
        """Return the caller's name from a configured header, mTLS subject, API key or address.

        Args:
            headers: Lower-cased names.
            address: The peer's address.
            session_seed: Text constant during a conversation; names the session if no header does.
            client_subject: Subject of a verified client certificate, if there is one.
        """
        name, source = self._named(headers, address, client_subject)
        session = headers.get(self._identity.session_header.lower(), "")[:128]
        if not session and session_seed:
            session = "~" + self._hash(session_seed)
        return Principal(name, source, session)

    def _named(self, headers: Mapping[str, str], address: str, client_subject: str) -> tuple[str, str]:
        identity = self._identity
        if identity.header and (value := headers.get(identity.header.lower())):
            return value[:128], "header"
        subject = client_subject or (
            headers.get(identity.mtls_header.lower(), "") if identity.mtls_header else ""
        )
        if subject:
            return subject[:256], "mtls"
        for header in _KEY_HEADERS:
            if value := headers.get(header):
                return self._hash(value), "api-key"
        return address or "unknown", "address"

    def _hash(self, secret: str) -> str:
        # Keyed BLAKE2b (RFC 7693, 2.9) is a MAC, and cheaper than looking a cached one up.
        return hashlib.blake2b(
            secret.encode(errors="surrogatepass"), key=self._key, digest_size=12
        ).hexdigest()
