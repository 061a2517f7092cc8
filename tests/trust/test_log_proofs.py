"""Roots and proofs, held against an independent implementation of RFC 9162."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust import rfc9162
from trust.log import (
    LogError,
    MerkleLog,
    ProofRefused,
    verify_consistency,
    verify_inclusion,
)
from trust.log.tiles import TileName, unpack_bundle

SIZE = 300
ENTRIES = [b"entry %d" % i for i in range(SIZE)]


@pytest.fixture(scope="module")
def log() -> MerkleLog:
    made = MerkleLog(None, None)
    made.append_many(ENTRIES)
    return made


@pytest.fixture(scope="module")
def roots() -> list[bytes]:
    return [rfc9162.mth(ENTRIES[:n]) for n in range(SIZE + 1)]


def test_roots_are_the_definition(log: MerkleLog, roots: list[bytes]) -> None:
    assert [log.root(n) for n in range(SIZE + 1)] == roots


def test_known_vectors_of_certificate_transparency() -> None:
    """The eight entries and roots that every RFC 6962 implementation is tested with."""
    entries = [
        bytes.fromhex(text)
        for text in (
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        )
    ]
    log = MerkleLog(None, None)
    log.append_many(entries)
    assert log.root(0).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert log.root(1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert log.root(3).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert log.root(8).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_every_inclusion_proof_up_to_70(log: MerkleLog, roots: list[bytes]) -> None:
    for size in [*range(1, 71), 128, 129, 255, 256, 257, SIZE]:
        for index in range(size):
            proof = log.inclusion_proof(index, size)
            hash_ = rfc9162.leaf(ENTRIES[index])
            assert rfc9162.inclusion_holds(hash_, index, size, proof, roots[size])
            verify_inclusion(hash_, index, size, proof, roots[size])


def test_every_consistency_proof_up_to_70(log: MerkleLog, roots: list[bytes]) -> None:
    for new in [*range(1, 71), 128, 129, 255, 256, 257, SIZE]:
        for old in range(1, new):
            proof = log.consistency_proof(old, new)
            assert rfc9162.consistency_holds(old, roots[old], new, roots[new], proof)
            verify_consistency(old, roots[old], new, roots[new], proof)
        verify_consistency(0, roots[0], new, roots[new], log.consistency_proof(0, new))
        verify_consistency(new, roots[new], new, roots[new], log.consistency_proof(new, new))


def test_a_proof_is_the_definition(log: MerkleLog) -> None:
    for index in (0, 1, 5, 6):
        assert log.inclusion_proof(index, 7) == rfc9162.path(index, ENTRIES[:7])


def _accepts_inclusion(*arguments: object) -> bool:
    try:
        verify_inclusion(*arguments)  # type: ignore[arg-type]  # hypothesis draws the types
    except ProofRefused:
        return False
    return True


def _accepts_consistency(*arguments: object) -> bool:
    try:
        verify_consistency(*arguments)  # type: ignore[arg-type]  # hypothesis draws the types
    except ProofRefused:
        return False
    return True


def _mutate(data: st.DataObject, proof: list[bytes]) -> list[bytes]:
    """Return `proof` after one change that a liar could make."""
    changed = list(proof)
    kind = data.draw(st.sampled_from(["none", "flip", "drop", "add", "swap"]))
    if kind == "flip" and changed:
        place = data.draw(st.integers(0, len(changed) - 1))
        byte = data.draw(st.integers(0, 31))
        raw = bytearray(changed[place])
        raw[byte] ^= 1 << data.draw(st.integers(0, 7))
        changed[place] = bytes(raw)
    elif kind == "drop" and changed:
        del changed[data.draw(st.integers(0, len(changed) - 1))]
    elif kind == "add":
        changed.insert(data.draw(st.integers(0, len(changed))), bytes(32))
    elif kind == "swap" and len(changed) > 1:
        changed.reverse()
    return changed


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_inclusion_verdicts_agree_with_the_rfc(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    index = data.draw(st.integers(0, size - 1))
    proof = _mutate(data, rfc9162.path(index, ENTRIES[:size]))
    claimed_index = data.draw(st.sampled_from([index, index ^ 1, max(index - 1, 0)]))
    claimed_size = max(size + data.draw(st.integers(-1, 1)), 1)
    entry = ENTRIES[data.draw(st.sampled_from([index, index + 1]))]
    case = (rfc9162.leaf(entry), claimed_index, claimed_size, proof, rfc9162.mth(ENTRIES[:size]))
    assert _accepts_inclusion(*case) == rfc9162.inclusion_holds(*case)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_consistency_verdicts_agree_with_the_rfc(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 40))
    old = data.draw(st.integers(1, new - 1))
    log = MerkleLog(None, None)
    log.append_many(ENTRIES[:new])
    proof = _mutate(data, log.consistency_proof(old, new))
    claimed_old = data.draw(st.sampled_from([old, max(old - 1, 1)]))
    forged = data.draw(st.booleans())
    old_root = rfc9162.mth([b"forged", *ENTRIES[1:old]] if forged else ENTRIES[:old])
    case = (claimed_old, old_root, new, rfc9162.mth(ENTRIES[:new]), proof)
    assert _accepts_consistency(*case) == rfc9162.consistency_holds(*case)


def test_nonsense_is_refused(roots: list[bytes]) -> None:
    leaf = rfc9162.leaf(ENTRIES[0])
    for index, size in ((1, 1), (-1, 1), (0, 0)):
        with pytest.raises(ProofRefused, match="index-range"):
            verify_inclusion(leaf, index, size, [], leaf)
    with pytest.raises(ProofRefused, match="hash-size"):
        verify_inclusion(leaf[:31], 0, 1, [], leaf)
    with pytest.raises(ProofRefused, match="hash-size"):
        verify_inclusion(leaf, 0, 2, [b"short"], roots[2])
    with pytest.raises(ProofRefused, match="size-range"):
        verify_consistency(3, roots[3], 2, roots[2], [])
    with pytest.raises(ProofRefused, match="fork"):
        verify_consistency(3, roots[3], 3, roots[2], [])
    with pytest.raises(ProofRefused, match="fork"):
        verify_consistency(0, roots[1], 3, roots[3], [])
    with pytest.raises(ProofRefused, match="proof-length"):
        verify_consistency(0, roots[0], 3, roots[3], [bytes(32)])


def test_an_interior_node_is_not_an_entry(log: MerkleLog, roots: list[bytes]) -> None:
    """RFC 6962 section 2.1: without the prefixes, two hashes in a row could pose as an entry."""
    pair = log.leaf_hash(0) + log.leaf_hash(1)
    with pytest.raises(ProofRefused):
        verify_inclusion(rfc9162.leaf(pair), 0, 1, [], roots[2])


def test_tiles_hold_the_nodes(log: MerkleLog, roots: list[bytes]) -> None:
    assert log.tile(0, 0) == b"".join(rfc9162.leaf(e) for e in ENTRIES[:256])
    assert log.tile(0, 1, SIZE - 256) == b"".join(rfc9162.leaf(e) for e in ENTRIES[256:])
    assert log.tile(1, 0, 1) == roots[256]
    assert unpack_bundle(log.entry_bundle(0)) == ENTRIES[:256]
    assert unpack_bundle(log.entry_bundle(1, 44)) == ENTRIES[256:]
    for level, index, width in ((0, 1, 45), (1, 0, 2), (0, 2, 1), (0, 1, 256), (7, 0, 1)):
        with pytest.raises(LogError, match=r"log\.range"):
            log.tile(level, index, width)
    with pytest.raises(LogError, match="ends inside"):
        unpack_bundle(b"\x00\x05abc")
    with pytest.raises(LogError, match="ends inside"):
        unpack_bundle(b"\x00")


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (67, 12, "067.p/12"),
        (1234067, 256, "x001/x234/067"),
        (1000, 1, "x001/000.p/1"),
    ],
)
def test_tile_paths(index: int, width: int, path: str) -> None:
    assert TileName(index, width).path == path
    assert TileName.parse(path) == TileName(index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "00",
        "0000",
        "x000/001",
        "001/002",
        "001.p/0",
        "001.p/256",
        "001.p/01",
        "x1/001",
        "../001",
        "001/",
        "001.p/257",
        "٠٠١",
    ],
)
def test_a_tile_has_one_name(path: str) -> None:
    with pytest.raises(LogError, match=r"log\.tile"):
        TileName.parse(path)


def test_out_of_range_requests_are_refused(log: MerkleLog) -> None:
    for ask in (
        lambda: log.entry(SIZE),
        lambda: log.entry(-1),
        lambda: log.entry(1 << 70),
        lambda: log.leaf_hash(1 << 70),
        lambda: log.inclusion_proof(1 << 70),
        lambda: log.root(1 << 70),
        lambda: log.root(SIZE + 1),
        lambda: log.root(-1),
        lambda: log.inclusion_proof(SIZE),
        lambda: log.inclusion_proof(5, 5),
        lambda: log.consistency_proof(6, 5),
        lambda: log.consistency_proof(-1, 5),
        lambda: log.leaf_hash(SIZE),
        lambda: log.receipt(-1),
    ):
        with pytest.raises(LogError, match=r"log\.range"):
            ask()
