"""The ZIP structure: each rule has an archive that breaks it, and says the offending value."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest

from tests.support.hostile_zips import CASES, INIT_BODY, deflated, entries
from tests.support.rawzip import RawEntry, raw_zip
from tests.support.refusals import FILENAME, assert_refused, problems
from tests.support.wheels import make_members, make_wheel
from trust.outcomes import Passed
from trust.wheel import WheelRejected, inspect_wheel, read_members
from trust.wheel.archive import compare_with_zipfile, read_archive
from trust.wheel.zipstructure import read_structure


@pytest.mark.parametrize("case", CASES)
def test_structure_is_refused(case: str) -> None:
    make, code, value = CASES[case]
    assert_refused(make(), code, value)
    assert all(p.value for p in problems(make()))


def test_honest_archives_pass() -> None:
    assert isinstance(inspect_wheel(raw_zip(entries()), FILENAME), Passed)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        filename, data = make_wheel(compression=compression)
        assert isinstance(inspect_wheel(data, filename), Passed)


def test_honest_variants_pass() -> None:
    """Empty folders, times of Info-ZIP, and descriptors of a writer that cannot seek."""
    times = {"extra": struct.pack("<HHBL", 0x5455, 5, 1, 0)}
    folder = RawEntry(b"example_plugin/", method=0, attributes=0o040755 << 16 | 0x10)
    body = INIT_BODY
    descriptor = struct.pack(
        "<4s3L", b"PK\x07\x08", zlib.crc32(body), len(deflated(body)), len(body)
    )
    zeros = {"crc": 0, "packed": 0, "size": 0}
    for after in (descriptor, descriptor[4:]):
        first, second, *rest = entries()
        streamed = replace(first, flags=8, local=zeros, after=after)
        timed = replace(second, local=times, central=times)
        outcome = inspect_wheel(raw_zip([folder, streamed, timed, *rest]), FILENAME)
        assert isinstance(outcome, Passed), outcome


def test_a_streamed_archive_of_the_standard_library_passes() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override] # bytes are enough here
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type] # a stream without seek
        for path, body in make_members().items():
            archive.writestr(path, body)
    assert isinstance(inspect_wheel(bytes(pipe.data), FILENAME), Passed)


def test_what_is_accepted_reads_the_same_from_the_front() -> None:
    """A reader that walks local headers only sees what a reader of the central directory sees."""
    _, data = make_wheel()
    at, seen = 0, []
    while data[at : at + 4] == b"PK\x03\x04":
        packed, _, n, m = struct.unpack_from("<2L2H", data, at + 18)
        seen.append(data[at + 30 : at + 30 + n].decode())
        at += 30 + n + m + packed
    assert seen == list(read_members(data))


def test_read_members_raises_on_any_problem() -> None:
    with pytest.raises(WheelRejected) as caught:
        read_members(raw_zip(entries(), suffix=b"x"))
    assert caught.value.problem.code == "wheel.trailing-data"


def test_a_bomb_costs_no_more_than_it_declares() -> None:
    """1 MB of deflate that would give 512 MB: at most the declared size plus one byte comes out."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(stream.compress(bytes(1 << 20)) for _ in range(512)) + stream.flush()
    lie = {"size": 1000, "crc": 0}
    entry = RawEntry(b"example_plugin/b", packed=packed, local=lie, central=lie)
    archive = read_archive(raw_zip([entry]))
    assert [p.code for p in archive.problems] == ["wheel.lying-size"]
    assert not archive.contents
    assert not archive.complete


def test_readers_that_differ_are_a_problem() -> None:
    """The last net: whatever our parser accepts, the standard library must list the same."""
    data = raw_zip(entries())
    other = raw_zip(entries()[1:])
    structure = read_structure(data)
    assert not structure.problems
    assert not compare_with_zipfile(data, structure.entries)
    for twin in (other, b"no archive"):
        (found,) = compare_with_zipfile(twin, structure.entries)
        assert found.code == "wheel.reader-differs"
