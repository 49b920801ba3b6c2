"""Signed notes: a text and its Ed25519 signatures, readable by people and by tlog tools.

References:
    C2SP signed-note: text, blank line, then lines ``— name base64(key id || signature)``;
    the key id is the first four bytes of ``SHA-256(name || 0x0A || 0x01 || public key)``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bartizan.errors import LedgerError

ED25519 = b"\x01"
KEY_BYTES = 32
KEY_ID_BYTES = 4
SIGNATURE_BYTES = 64
NAME_CHARACTERS = 200
NOTE_BYTES = 64 * 1024
PRIVATE_PREFIX = "PRIVATE+KEY+"
_DASH = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with the name of who signs.

    Attributes:
        name: The signer's name; a ledger's origin.
        public: The 32 bytes of the Ed25519 public key.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names its key."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_encode(ED25519 + self.public)}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the name of who signs. Its ``repr`` does not show the key."""

    verifier: Verifier
    _key: Ed25519PrivateKey

    def sign(self, text: str) -> str:
        """Return the signed note for a text that ends in a line break."""
        signature = self._key.sign(text.encode())
        line = _encode(self.verifier.key_id + signature)
        return f"{text}\n{_DASH}{self.verifier.name} {line}\n"

    def exported(self) -> str:
        """Return the private key as text: for the key file, and nowhere else."""
        head = f"{self.verifier.name}+{self.verifier.key_id.hex()}"
        return f"{PRIVATE_PREFIX}{head}+{_encode(ED25519 + self._key.private_bytes_raw())}"


def check_name(name: str) -> str:
    """Return ``name`` if a note can carry it as a key name.

    Raises:
        LedgerError: It is empty, too long, or has white space, ``+`` or control characters.
    """
    if not name or len(name) > NAME_CHARACTERS or "+" in name or not name.isprintable() or " " in name:
        raise LedgerError(
            f"{name!r} can't name a ledger", hint="use letters, digits, dots, dashes and slashes"
        )
    return name


def new_signer(name: str) -> Signer:
    """Make a signer with a fresh key."""
    return _signer(check_name(name), Ed25519PrivateKey.generate())


def parse_signer(text: str) -> Signer:
    """Read what :meth:`Signer.exported` wrote.

    Raises:
        LedgerError: The text is not such a key.
    """
    if not text.startswith(PRIVATE_PREFIX):
        raise LedgerError("the signing key is not in the signed-note form")
    name, key_id, raw = _split_key(text.removeprefix(PRIVATE_PREFIX), "signing key")
    signer = _signer(name, Ed25519PrivateKey.from_private_bytes(raw))
    if signer.verifier.key_id != key_id:
        raise LedgerError("the signing key does not match its key id")
    return signer


def parse_verifier(text: str) -> Verifier:
    """Read a verifier key string ``name+key id+base64``.

    Raises:
        LedgerError: The text is no Ed25519 verifier key, or its key id is not the key's.
    """
    name, key_id, raw = _split_key(text, "verifier key")
    verifier = Verifier(name, raw)
    if verifier.key_id != key_id:
        raise LedgerError("the verifier key does not match its key id")
    return verifier


def open_note(note: str, verifier: Verifier) -> str:
    """Return the text of a note that carries the verifier's signature.

    Signatures of others are ignored, as the format demands.

    Raises:
        LedgerError: The note is malformed, or not signed by this key.
    """
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not text or not signatures.endswith("\n") or len(note) > NOTE_BYTES:
        raise LedgerError("the note is malformed")
    text += "\n"
    found = False
    for line in signatures[:-1].split("\n"):
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space or not name:
            raise LedgerError("a signature line of the note is malformed")
        blob = decode_base64(encoded)
        if name != verifier.name or blob[:KEY_ID_BYTES] != verifier.key_id:
            continue
        _check_signature(verifier, blob[KEY_ID_BYTES:], text)
        found = True
    if not found:
        raise LedgerError(f"the note is not signed by {verifier.name}+{verifier.key_id.hex()}")
    return text


def decode_base64(text: str) -> bytes:
    """Decode standard base64 that is written in the one canonical way.

    Raises:
        LedgerError: It is not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LedgerError("malformed base64") from error
    if _encode(data) != text:
        raise LedgerError("base64 that is not canonical")
    return data


def _check_signature(verifier: Verifier, signature: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public).verify(signature, text.encode())
    except InvalidSignature as error:
        raise LedgerError(f"the signature of {verifier.name} is wrong") from error


def _signer(name: str, key: Ed25519PrivateKey) -> Signer:
    return Signer(Verifier(name, key.public_key().public_bytes_raw()), key)


def _split_key(text: str, what: str) -> tuple[str, bytes, bytes]:
    name, plus, rest = text.partition("+")
    key_id, second, encoded = rest.partition("+")
    if not plus or not second or len(key_id) != 2 * KEY_ID_BYTES or key_id.strip("0123456789abcdef"):
        raise LedgerError(f"the {what} is malformed")
    data = decode_base64(encoded)
    if data[:1] != ED25519 or len(data) != 1 + KEY_BYTES:
        raise LedgerError(f"the {what} is not an Ed25519 key")
    return check_name(name), bytes.fromhex(key_id), data[1:]


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
