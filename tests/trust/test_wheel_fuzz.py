"""Hostile bytes never raise, never reach the last-resort guard, and never pass unnoticed."""

from __future__ import annotations

import hashlib
import struct
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wheels import make_members, make_record, make_wheel, pack
from trust.outcomes import Failed, Passed
from trust.wheel import Plugin, inspect_wheel

FILENAME, WHEEL = make_wheel()
MEMBERS = make_members()
RECORD = "example_plugin-1.0.0.dist-info/RECORD"

quick = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

mutation = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("cut"), st.integers(0, 1 << 16), st.binary(max_size=40)),
    st.tuples(st.just("add"), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=40)),
    st.tuples(
        st.just("add"),
        st.integers(0, 1 << 16),
        st.sampled_from([b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\0" * 22, b'{"', b"\\u"]),
    ),
)


def mutate(data: bytes, mutations: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, piece in mutations:
        at = place % (len(data) + 1)
        if kind == "set":
            data = data[:at] + piece + data[at + len(piece) :]
        elif kind == "cut":
            data = data[:at] + data[at + len(piece) :]
        else:
            data = data[:at] + piece + data[at:]
    return data


def examine(data: bytes, filename: str = FILENAME) -> Plugin | None:
    outcome = inspect_wheel(data, filename)
    if isinstance(outcome, Passed):
        assert outcome.value.sha256 == hashlib.sha256(data).hexdigest()
        return outcome.value
    assert isinstance(outcome, Failed)
    assert outcome.problems
    guards = [p.lines() for p in outcome.problems if p.code == "wheel.unreadable"]
    assert not guards, guards
    return None


@quick
@given(st.lists(mutation, min_size=1, max_size=4))
def test_mutated_archives(mutations: list[tuple[str, int, bytes]]) -> None:
    examine(mutate(WHEEL, mutations))


@quick
@given(st.sampled_from(sorted(MEMBERS)), st.lists(mutation, min_size=1, max_size=4))
def test_mutated_members(path: str, mutations: list[tuple[str, int, bytes]]) -> None:
    """A sound archive and a right RECORD around a member that is not what it was."""
    members = {**MEMBERS, path: mutate(MEMBERS[path], mutations)}
    if path != RECORD:
        rest = {name: body for name, body in members.items() if name != RECORD}
        members = {**rest, RECORD: make_record(rest, RECORD)}
    examine(pack(members))


@quick
@given(st.binary(max_size=400), st.text(max_size=60))
def test_noise(data: bytes, filename: str) -> None:
    assert examine(data, filename) is None


@quick
@given(st.text(max_size=80))
def test_noise_in_the_filename(filename: str) -> None:
    assert filename == FILENAME or examine(WHEEL, filename) is None


def test_every_byte_counts() -> None:
    """Flip each byte: only fields that say nothing about the content may change unnoticed.

    They are, in central headers: the writer's version and system, the internal attributes, and
    permission bits; and the bits that fill up the last byte of a deflate stream. Whatever passes
    has the same members.
    """
    honest = inspect_wheel(WHEEL, FILENAME)
    assert isinstance(honest, Passed)
    quiet = set()
    at = WHEEL.index(b"PK\x01\x02")
    while WHEEL[at : at + 4] == b"PK\x01\x02":
        quiet |= {at + 4, at + 5, *range(at + 36, at + 42)}
        n, m, k = struct.unpack_from("<3H", WHEEL, at + 28)
        packed = struct.unpack_from("<L", WHEEL, at + 20)[0]
        offset = struct.unpack_from("<L", WHEEL, at + 42)[0]
        quiet.add(offset + 30 + n + packed - 1)
        at += 46 + n + m + k
    for place in range(len(WHEEL)):
        data = bytearray(WHEEL)
        data[place] ^= 1 << place % 8
        plugin = examine(bytes(data))
        assert plugin is None or place in quiet, f"a flip in byte {place} passes"
        assert plugin is None or plugin.members == honest.value.members


def test_a_crash_of_the_reader_is_a_refusal() -> None:
    outcome = inspect_wheel(cast(bytes, None), FILENAME)
    assert isinstance(outcome, Failed)
    assert [p.code for p in outcome.problems] == ["wheel.unreadable"]
