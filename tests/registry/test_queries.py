"""The read model: what reviewers see, bounded, and the changes since the last version."""

from __future__ import annotations

import hashlib
import random
import time

import pytest

from registry import comparison, queries
from registry.comparison import diff, file_views, lines_of, manifest_changes
from registry.errors import Damaged, NotFound
from registry.readmodel import DiffLine, FindingView
from registry.report import read_report
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_manifest, make_wheel

OLD = '''"""Old."""


def greet(arguments):
    return {"greeting": "hello"}


def echo(arguments):
    return {"value": arguments}
'''

NEW = OLD.replace('"hello"', '"good day"') + '\n\nTOKEN = eval("1")\n'


@pytest.fixture
def two_versions(registry: RegistryFixture) -> RegistryFixture:
    """1.0.0 published, 1.1.0 in review with changes of every kind."""
    registry.publish(
        *make_wheel(
            source=OLD, files={"example_plugin/gone.py": "X = 1\n", "example_plugin/same.py": ""}
        )
    )
    manifest = make_manifest()
    manifest["limits"] = {"wall_seconds": 20}
    manifest["methods"]["shout"] = {**manifest["methods"].pop("echo")}
    registry.submit(
        *make_wheel(
            version="1.1.0",
            source=NEW,
            files={"example_plugin/fresh.py": "Y = 2\n", "example_plugin/same.py": ""},
            manifest=manifest,
        )
    )
    registry.worker.run_once()
    return registry


def test_a_review_shows_what_changed(two_versions: RegistryFixture) -> None:
    view = queries.review(two_versions.services, "example-plugin", "1.1.0")
    delta = view.delta
    assert delta is not None
    assert (delta.version, delta.size_after) == ("1.0.0", view.version.size)
    assert view.materials is not None
    assert view.materials.previous_sha256 == delta.sha256
    assert "example_plugin/fresh.py" in delta.added
    assert "example_plugin/gone.py" in delta.removed
    assert "example_plugin/__init__.py" in delta.changed
    assert "example_plugin/same.py" not in (*delta.added, *delta.removed, *delta.changed)

    # the metadata's folder has the version in its name, and is the same folder all the same
    metadata = "example_plugin-1.1.0.dist-info/METADATA"
    assert metadata in delta.changed
    assert not [path for path in (*delta.added, *delta.removed) if "dist-info" in path]
    (file,) = queries.files(two_versions.services, "example-plugin", "1.1.0", [metadata])
    assert ("added", "Version: 1.1.0") in [(line.kind, line.text) for line in file.diff]

    changes = {change.subject: change for change in delta.manifest}
    assert (changes["limit wall_seconds"].after, changes["limit wall_seconds"].widening) == (
        "20.0",
        True,
    )
    assert changes["method shout"].kind == "added"
    assert changes["method shout"].widening
    assert changes["method echo"].kind == "removed"
    assert not changes["method echo"].widening


def test_a_review_shows_findings_at_their_lines(two_versions: RegistryFixture) -> None:
    view = queries.review(two_versions.services, "example-plugin", "1.1.0")
    (finding,) = [f for f in view.findings if f.rule == "B307"]
    (file,) = queries.files(two_versions.services, "example-plugin", "1.1.0", [finding.path])
    (line,) = [line for line in file.lines if finding in line.findings]
    assert line.text == 'TOKEN = eval("1")'
    assert line.number == finding.line
    assert file.findings == tuple(f for f in view.findings if f.path == file.path)
    assert view.coverage is not None
    assert finding.path in view.coverage.scanned
    present = {f.path for f in view.files if f.change != "removed"}
    assert present == {*view.coverage.scanned, *view.coverage.not_scanned}


def test_a_review_shows_the_changed_lines(two_versions: RegistryFixture) -> None:
    view = queries.review(two_versions.services, "example-plugin", "1.1.0")
    path = "example_plugin/__init__.py"
    (file,) = queries.files(two_versions.services, "example-plugin", "1.1.0", [path])
    outline = next(f for f in view.files if f.path == path)
    kinds = [line.kind for line in file.diff]
    assert (outline.added, outline.removed) == (kinds.count("added"), kinds.count("removed"))
    assert outline.rows == len(file.diff)
    changed = [(line.kind, line.text) for line in file.diff if line.kind in ("added", "removed")]
    assert ("removed", '    return {"greeting": "hello"}') in changed
    assert ("added", '    return {"greeting": "good day"}') in changed


def test_reviewers_never_include_the_author(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel(), by="bob@example.com")
    view = queries.review(registry.services, "example-plugin", "1.0.0")
    assert {r.subject for r in view.reviewers} == {"carol@example.com", "dave@example.com"}
    assert view.materials is None
    assert view.findings == ()


def test_a_first_version_has_no_delta(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    registry.worker.run_once()
    view = queries.review(registry.services, "example-plugin", "1.0.0")
    assert view.delta is None
    assert all(file.change is None for file in view.files)
    assert view.flags == ()
    assert [part.why for part in view.risk.parts if part.why == "first version"]


def test_recent_is_what_was_published_last(registry: RegistryFixture) -> None:
    for version in ("1.0.0", "1.1.0"):
        registry.publish(*make_wheel(version=version))
    registry.submit(*make_wheel(version="1.2.0"))
    found = queries.recent(registry.services, 5)
    assert [view.version for view in found] == ["1.1.0", "1.0.0"]


def test_what_is_not_there_is_not_found(registry: RegistryFixture) -> None:
    for name, number in (("nothing", "1"), ("", ""), ("../x", "1"), ("x" * 5000, "1")):
        with pytest.raises(NotFound):
            queries.version(registry.services, name, number)


# -- comparing -------------------------------------------------------------------------------


def applied(before: list[str], lines: list[DiffLine]) -> list[str]:
    """Apply a diff as `patch` does: what it says must lead from one text to the other."""
    result: list[str] = []
    position = 0
    for line in lines:
        if line.kind == "hunk":
            continue
        if line.old is not None:
            result += before[position : line.old - 1]
            assert before[line.old - 1] == line.text
            position = line.old
            if line.kind == "context":
                result.append(line.text)
        else:
            assert line.new is not None
            result += before[position : position + line.new - 1 - len(result)]
            position += max(0, line.new - 1 - len(result))
            result.append(line.text)
    return result + before[position:]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["a", "b", "c"], ["a", "x", "c"]),
        ([], ["a"]),
        (["a"], []),
        (["a"] * 30, ["a"] * 31),
        ([str(n) for n in range(60)], [str(n) for n in range(60) if n % 7]),
        ([str(n) for n in range(4000)], [str(n * 2) for n in range(4000)]),
        (["same"] * 10, ["same"] * 10),
    ],
)
def test_a_diff_leads_from_one_text_to_the_other(before: list[str], after: list[str]) -> None:
    assert applied(before, list(diff(before, after))) == after


def test_comparing_hostile_files_is_bounded() -> None:
    """Files that make a plain matcher quadratic."""
    lines = [str(number) for number in range(120)]
    one = random.Random(1).choices(lines, k=20_000)
    other = random.Random(2).choices(lines, k=20_000)
    began = time.monotonic()
    found = list(diff(one, other))
    assert time.monotonic() - began < 5
    assert len(found) >= 40_000


def test_files_are_cut_where_they_are_too_long() -> None:
    big = b"x = 1\n" * 200_000
    binary = b"\0\x01\x02" * 100
    views = file_views({"big.py": big, "b.bin": binary, "bad.txt": b"\xff\xfe"}, None, ())
    cut, hidden, undecodable = views
    assert (cut.truncated, cut.lines, cut.binary) == (True, (), False)
    assert (hidden.binary, undecodable.binary) == (True, True)
    assert cut.sha256 == hashlib.sha256(big).hexdigest()
    total = {f"{n}.py": b"y = 2\n" * 80_000 for n in range(20)}
    shown = sum(len(line.text) + 1 for view in file_views(total, None, ()) for line in view.lines)
    assert shown <= comparison.MAX_TOTAL_TEXT


def test_a_diff_that_is_too_long_says_so() -> None:
    before = {"a.py": b"x = 1\n" * 10_000}
    after = {"a.py": b"y = 2\n" * 10_000}
    (view,) = file_views(after, before, ())
    assert view.truncated
    assert len(view.diff) == comparison.MAX_DIFF_LINES


def test_lines_are_counted_as_python_counts_them() -> None:
    text = "a\r\nb\rc\nd\x0ce\u2028f\n"
    assert lines_of(text) == ["a", "b", "c", "d\x0ce\u2028f"]


def test_a_finding_without_a_line_belongs_to_its_file() -> None:
    finding = FindingView("SG001", "low", "a.py", 0, "m", "h", "")
    (view,) = file_views({"a.py": b"x = 1\n"}, None, (finding,))
    assert view.findings == (finding,)
    assert all(line.findings == () for line in view.lines)


def test_new_permissions_are_a_widening() -> None:
    row = {"methods": [], "permissions": [], "limits": dict.fromkeys(
        ("wall_seconds", "cpu_seconds", "memory_bytes", "processes", "output_bytes"), 1
    )}  # fmt: skip
    (change,) = manifest_changes(row, {**row, "permissions": ["net"]}, ("s", "s"))
    assert (change.subject, change.kind, change.widening) == ("permission net", "added", True)
    (change,) = manifest_changes({**row, "permissions": ["net"]}, row, ("s", "s"))
    assert (change.kind, change.widening) == ("removed", False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"runs": []}',
        b'{"runs": [{"results": [{}]}]}',
        b'{"runs": [{"results": [], "properties": {}}]}',
    ],
)
def test_a_report_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_report(data)
