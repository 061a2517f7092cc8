"""Checking proofs, purely: no storage, no clock (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

The shape of a proof follows from the numbers alone, so its length is checked first; then the
hashes are folded by the bits of the index. `tests/trust` holds the RFC's own loops against this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from trust.errors import problem
from trust.log.errors import ProofRefused
from trust.log.hashing import HASH_SIZE, empty_root, node_hash


def _refuse(code: str, what: str, value: object, expected: str) -> NoReturn:
    raise ProofRefused(
        problem(
            f"log.{code}",
            what,
            value=value,
            expected=expected,
            advice="do not rely on this record; ask the log for a fresh proof and compare it "
            "with a checkpoint obtained elsewhere",
        )
    )


def _check_hashes(*hashes: bytes) -> None:
    for digest in hashes:
        if len(digest) != HASH_SIZE:
            _refuse("hash-size", "a hash has the wrong length", len(digest), f"{HASH_SIZE} bytes")


def _fold(seed: bytes, index: int, inner: Sequence[bytes], border: Sequence[bytes]) -> bytes:
    """Climb from `seed`: `inner` hashes stand left or right by `index`, `border` always left."""
    for level, sibling in enumerate(inner):
        seed = node_hash(sibling, seed) if index >> level & 1 else node_hash(seed, sibling)
    for sibling in border:
        seed = node_hash(sibling, seed)
    return seed


def _shape(index: int, size: int) -> tuple[int, int]:
    """Return how many hashes lie below, and how many above, the fork to the last entry."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the entry with hash `leaf` is number `index` of the tree (`size`, `root`).

    Args:
        leaf: the entry's leaf hash, 32 bytes (`hashing.leaf_hash`).
        index: the entry's place, from 0.
        size: how many entries the tree has.
        proof: the sibling hashes from the leaf upwards.
        root: the root hash that a checkpoint vouches for.

    Raises:
        ProofRefused: the numbers make no sense, the proof has the wrong length, or it leads to
            another root.
    """
    if not 0 <= index < size:
        _refuse("index-range", "the index is not in the tree", index, f"0 <= index < {size}")
    _check_hashes(leaf, root, *proof)
    inner, border = _shape(index, size)
    if len(proof) != inner + border:
        _refuse(
            "proof-length",
            "the inclusion proof has the wrong length",
            f"{len(proof)} hashes",
            f"{inner + border} hashes for entry {index} of {size}",
        )
    found = _fold(leaf, index, proof[:inner], proof[inner:])
    if found != root:
        _refuse(
            "proof-root",
            "the inclusion proof leads to another root",
            found.hex(),
            f"root {root.hex()}",
        )


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (`new_size`, `new_root`) extends (`old_size`, `old_root`).

    Args:
        old_size: entries of the older tree; 0 is extended by any tree.
        old_root: the older root, 32 bytes.
        new_size: entries of the newer tree.
        new_root: the newer root, 32 bytes.
        proof: the hashes of PROOF(`old_size`, D[`new_size`]); empty for equal or empty trees.

    Raises:
        ProofRefused: the log shrank, forked or was rewritten, or the proof is malformed.
    """
    _check_hashes(old_root, new_root, *proof)
    if not 0 <= old_size <= new_size:
        _refuse("size-range", "the log shrank", new_size, f"at least {old_size} entries")
    if old_size == 0 or old_size == new_size:
        expected = new_root if old_size else empty_root()
        if proof:
            _refuse("proof-length", "the consistency proof is not empty", len(proof), "0 hashes")
        if old_root != expected:
            _refuse("fork", "two roots for the same tree", old_root.hex(), expected.hex())
        return
    # The largest complete subtree that ends at the old tree's edge is the common seed: it is
    # the proof's first hash, unless it is the whole old tree (RFC 9162 section 2.1.4.2 step 2).
    level = (old_size & -old_size).bit_length() - 1
    index = (old_size - 1) >> level
    whole = old_size == 1 << level
    inner, border = _shape(index, ((new_size - 1) >> level) + 1)
    expected_length = inner + border + (not whole)
    if len(proof) != expected_length:
        _refuse(
            "proof-length",
            "the consistency proof has the wrong length",
            f"{len(proof)} hashes",
            f"{expected_length} hashes from {old_size} to {new_size}",
        )
    seed, rest = (old_root, proof) if whole else (proof[0], proof[1:])
    lower, upper = rest[:inner], rest[inner:]
    # The old root is made of the left siblings only; the new one of all.
    lefts = [sibling for height, sibling in enumerate(lower) if index >> height & 1]
    found_old = _fold(seed, 0, (), [*lefts, *upper])
    if found_old != old_root:
        _refuse("fork", "the proof starts from another old root", found_old.hex(), old_root.hex())
    found_new = _fold(seed, index, lower, upper)
    if found_new != new_root:
        _refuse("fork", "the new tree does not extend the old", found_new.hex(), new_root.hex())
