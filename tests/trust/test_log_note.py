"""Signed notes and checkpoints: wrong key, origin, size, root and form are each refused."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from trust.log import Checkpoint, MerkleLog, NoteRefused, NoteSigner, NoteVerifier, ProofRefused
from trust.log.receipt import Receipt

ORIGIN = "log.example"


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner.generate(ORIGIN)


def test_the_specification_s_example_key_is_read() -> None:
    """The verifier key and note that the C2SP specification shows."""
    verifier = NoteVerifier.from_vkey(
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n"
    )
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfq"
        "dngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert verifier.verify(note).startswith("If you think")
    with pytest.raises(NoteRefused, match="signature is wrong"):
        verifier.verify(note.replace("answer", "ANSWER"))


def test_vkey_round_trip(signer: NoteSigner) -> None:
    assert NoteVerifier.from_vkey(signer.verifier_key) == signer.verifier
    assert NoteSigner.from_seed(ORIGIN, signer.seed).verifier == signer.verifier


@pytest.mark.parametrize(
    "change",
    [
        lambda name, id_, key: f"{name}+{id_}",
        lambda name, id_, key: f"{name}+00000000+{key}",
        lambda name, id_, key: f"other+{id_}+{key}",
        lambda name, id_, key: f"{name}+{id_}+{key[:-4]}",
        lambda name, id_, key: f"{name}+{id_}+!{key}",
        lambda name, id_, key: f"a b+{id_}+{key}",
        lambda name, id_, key: (
            f"{name}+{id_}+{base64.b64encode(b'2' + base64.b64decode(key)[1:]).decode()}"
        ),
    ],
)
def test_a_malformed_vkey_is_refused(signer: NoteSigner, change: object) -> None:
    assert callable(change)
    with pytest.raises(NoteRefused):
        NoteVerifier.from_vkey(change(*signer.verifier_key.split("+", 2)))


def test_checkpoint_round_trip(signer: NoteSigner) -> None:
    checkpoint = Checkpoint(ORIGIN, 12, bytes(range(32)))
    assert Checkpoint.verify(checkpoint.sign(signer), signer.verifier) == checkpoint


def test_another_key_of_the_same_name_is_refused(signer: NoteSigner) -> None:
    note = Checkpoint(ORIGIN, 1, bytes(32)).sign(NoteSigner.generate(ORIGIN))
    with pytest.raises(NoteRefused, match=r"note\.unsigned"):
        Checkpoint.verify(note, signer.verifier)


def test_a_forged_key_id_does_not_help(signer: NoteSigner) -> None:
    other = NoteSigner.generate(ORIGIN)
    text = Checkpoint(ORIGIN, 1, bytes(32)).text()
    raw = base64.b64decode(other.sign(text).split()[-1])
    forged = base64.b64encode(signer.verifier.key_id + raw[4:]).decode()
    with pytest.raises(NoteRefused, match="signature is wrong"):
        Checkpoint.verify(f"{text}\n— {ORIGIN} {forged}\n", signer.verifier)


def test_another_origin_is_refused(signer: NoteSigner) -> None:
    with pytest.raises(NoteRefused, match=r"note\.origin"):
        Checkpoint("elsewhere", 1, bytes(32)).sign(signer)
    note = signer.sign(Checkpoint("elsewhere", 1, bytes(32)).text())
    with pytest.raises(NoteRefused, match=r"note\.origin"):
        Checkpoint.verify(note, signer.verifier)


def test_every_byte_of_the_text_counts(signer: NoteSigner) -> None:
    note = Checkpoint(ORIGIN, 12, bytes(range(32))).sign(signer)
    signature = note.index("— ")
    for place in [*range(signature), *range(signature + 2, len(note))]:
        changed = note[:place] + chr(ord(note[place]) ^ 1) + note[place + 1 :]
        with pytest.raises(NoteRefused):
            Checkpoint.verify(changed, signer.verifier)


def test_witnesses_may_sign_too(signer: NoteSigner) -> None:
    checkpoint = Checkpoint(ORIGIN, 1, bytes(32))
    witness = NoteSigner.generate("witness.example")
    line = witness.sign(checkpoint.text()).split("\n\n")[1]
    note = checkpoint.sign(signer) + line
    assert Checkpoint.verify(note, signer.verifier) == checkpoint
    assert witness.verifier.verify(note) == checkpoint.text()


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        "text\n",
        "text\n\nno dash x AAAA\n",
        "text\n\n— name AAAA",
        "te\txt\n\n— log.example AAAAAAAA\n",
        "a" * (1 << 17),
        "text\n\n" + "— w AAAAAAAA\n" * 65,
    ],
)
def test_malformed_notes_are_refused(signer: NoteSigner, note: str) -> None:
    with pytest.raises(NoteRefused):
        signer.verifier.verify(note)


def test_control_characters_are_refused_even_when_signed(signer: NoteSigner) -> None:
    for text in ("te\txt\n", "text\r\n", "te\0xt\n"):
        with pytest.raises(NoteRefused, match="control characters"):
            signer.verifier.verify(signer.sign(text))


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n12\n",
        f"{ORIGIN}\n012\nAAAA\n",
        f"{ORIGIN}\n-1\nAAAA\n",
        f"{ORIGIN}\n１２\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"{ORIGIN}\n1\n{base64.b64encode(bytes(32)).decode()[:-2]}B=\n",
        f"\n1\n{base64.b64encode(bytes(32)).decode()}\n",
    ],
)
def test_malformed_checkpoints_are_refused(signer: NoteSigner, text: str) -> None:
    with pytest.raises(NoteRefused):
        Checkpoint.verify(signer.sign(text), signer.verifier)


def test_a_receipt_convinces_alone(signer: NoteSigner) -> None:
    log = MerkleLog(None, signer)
    log.append_many([b"one", b"two", b"three"])
    receipt = Receipt.from_dict(log.receipt(1).as_dict())
    assert receipt.verify(signer.verifier, b"two").size == 3
    with pytest.raises(ProofRefused, match="another entry"):
        receipt.verify(signer.verifier, b"one")
    with pytest.raises(ProofRefused):
        replace(receipt, index=0).verify(signer.verifier)
    with pytest.raises(ProofRefused):
        replace(receipt, leaf_hash=bytes(32)).verify(signer.verifier)
    with pytest.raises(ProofRefused):
        replace(receipt, checkpoint=log.checkpoint(2)).verify(signer.verifier)
    with pytest.raises(NoteRefused):
        receipt.verify(NoteSigner.generate(ORIGIN).verifier)
    for broken in ({}, {**receipt.as_dict(), "index": "1"}, {**receipt.as_dict(), "leaf_hash": 1}):
        with pytest.raises(ProofRefused, match="malformed"):
            Receipt.from_dict(broken)
