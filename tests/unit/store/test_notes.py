from __future__ import annotations

import pytest

from bartizan.errors import LedgerError
from bartizan.store.checkpoint import open_checkpoint, sign_checkpoint
from bartizan.store.merkle import EMPTY_ROOT
from bartizan.store.notes import check_name, new_signer, open_note, parse_signer, parse_verifier

# The example that the signed-note format was published with.
KNOWN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
KNOWN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUg"
    "YN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_reads_notes_of_other_tools():
    verifier = parse_verifier(KNOWN_KEY)
    assert open_note(KNOWN_NOTE, verifier).endswith("your problem is.\n")
    assert str(verifier) == KNOWN_KEY


def test_key_ids_of_other_tools():
    key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert parse_verifier(key).key_id.hex() == "033de0ae"


def test_every_changed_character_of_a_note_is_noticed():
    verifier = parse_verifier(KNOWN_KEY)
    for position, character in enumerate(KNOWN_NOTE):
        changed = KNOWN_NOTE[:position] + chr(ord(character) ^ 1) + KNOWN_NOTE[position + 1 :]
        with pytest.raises(LedgerError):
            open_note(changed, verifier)


def test_every_changed_character_of_a_key_is_noticed():
    for position, character in enumerate(KNOWN_KEY):
        changed = KNOWN_KEY[:position] + chr(ord(character) ^ 1) + KNOWN_KEY[position + 1 :]
        with pytest.raises(LedgerError):
            parse_verifier(changed)


def test_signatures_of_others_are_ignored_and_not_enough():
    ours, witness = new_signer("example.org/ledger"), new_signer("example.com/witness")
    checkpoint = sign_checkpoint(ours, 7, EMPTY_ROOT)
    cosigned = checkpoint.note + witness.sign("example.org/ledger\n").rpartition("\n\n")[2]
    assert open_checkpoint(cosigned, ours.verifier).size == 7
    with pytest.raises(LedgerError, match="not signed by"):
        open_note(checkpoint.note, witness.verifier)


def test_signing_key_comes_back_and_does_not_show():
    signer = new_signer("example.org/ledger")
    again = parse_signer(signer.exported())
    assert again.verifier == signer.verifier
    assert open_note(again.sign("hello\n"), signer.verifier) == "hello\n"
    assert signer.exported().rpartition("+")[2] not in repr(signer)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\x00", "x" * 201])
def test_names_that_a_note_cannot_carry(name: str):
    with pytest.raises(LedgerError):
        check_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "other\n1\n{root}\n",
        "ledger\n01\n{root}\n",
        "ledger\n-1\n{root}\n",
        "ledger\n١\n{root}\n",
        "ledger\n1\n",
        "ledger\n1\nAAAA\n",
        "ledger\n1\n{root}\n\nmore\n",
    ],
)
def test_malformed_checkpoints_are_refused_though_signed(text: str):
    signer = new_signer("ledger")
    note = signer.sign(text.format(root="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="))
    with pytest.raises(LedgerError):
        open_checkpoint(note, signer.verifier)


def test_extension_lines_are_allowed():
    signer = new_signer("ledger")
    note = signer.sign("ledger\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nmore\n")
    assert open_checkpoint(note, signer.verifier).root == EMPTY_ROOT
