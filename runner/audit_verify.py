"""Verifying an audit log by nothing but its records and the pinned key.

Every leaf hash and the root are computed anew from the entries; the checkpoint over them must be
signed by the pinned key. Then the records themselves: canonical JSON, complete, and every outcome
belongs to a decision. With a checkpoint of earlier, the log must extend it; with a copy
(`entrypoint.log`), the log must have every line of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import records
from runner.audit_source import Item, Source
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.log import Checkpoint, NoteVerifier, leaf_hash, verify_inclusion
from trust.log.tree import Growing

MAX_PROBLEMS = 50


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        checkpoint: the verified checkpoint; None if there is none or it is not valid.
        entries: how many were read.
        complete: whether they are all of the checkpoint's, so that its root was recomputed.
        open_calls: request ids of admitted calls without an outcome: they run still, or the
            runner died and has not been started again.
        problems: everything that is wrong, the first bad record first.
        not_copied: records that the copy does not have (it is rotated, or began later).
    """

    checkpoint: Checkpoint | None = None
    entries: int = 0
    complete: bool = False
    open_calls: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    not_copied: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def _bad(
    code: str, what: str, *, value: object = "", expected: str = "", where: str = ""
) -> Problem:
    return problem(
        f"audit.{code}",
        what,
        value=value,
        expected=expected,
        advice="stop relying on this log; keep it, and compare it with a backup and with "
        "checkpoints and receipts held elsewhere",
        where=where,
    )


def verify(
    source: Source,
    vkey: str,
    *,
    since: str | None = None,
    copy: Iterable[bytes] | None = None,
    schema: bool = True,
) -> Report:
    """Verify a log or an export.

    Args:
        source: the records.
        vkey: the pinned verifier key line.
        since: an earlier checkpoint (signed note) that the log must extend.
        copy: lines of a copy, which the log must have.
        schema: also validate each record against `audit.schema.json` (slow on large logs).
    """
    report = Report()
    old: Checkpoint | None = None
    try:
        verifier = NoteVerifier.from_vkey(vkey)
        if since is not None:
            old = Checkpoint.verify(since, verifier)
        if source.checkpoint:
            report.checkpoint = Checkpoint.verify(source.checkpoint, verifier)
    except SealgateError as error:
        report.problems.extend(error.problems)
    walk = _Walk(report, old, schema, whole=not source.partial)
    try:
        for item in source.items():
            walk.take(item)
            if len(report.problems) >= MAX_PROBLEMS:
                report.problems.append(_bad("more", "there may be more; the search ends here"))
                return report
    except SealgateError as error:
        report.problems.extend(error.problems)
        return report
    walk.end()
    if copy is not None:
        _compare(report, walk.leaves, copy)
    return report


class _Walk:
    """One pass over the entries."""

    def __init__(
        self, report: Report, old: Checkpoint | None, schema: bool, *, whole: bool
    ) -> None:
        self._report = report
        self._old = old
        self._schema = schema
        self._tree = Growing(0, [])
        self._next = 0
        self._whole = whole
        self._decisions: dict[str, int] = {}
        self._ended: set[str] = set()
        self._old_root: bytes | None = None
        self.leaves: dict[bytes, int] = {}
        self._note_old()

    def _note_old(self) -> None:
        if self._old is not None and self._whole and self._next == self._old.size:
            self._old_root = self._tree.root()

    def take(self, item: Item) -> None:
        found = self._report.problems
        where = f"entry {item.index}"
        leaf = leaf_hash(item.entry)
        if item.leaf is not None and item.leaf != leaf:
            found.append(_bad("altered", "the record was altered after it was logged",
                              value=f"leaf hash {leaf.hex()}", expected=item.leaf.hex(),
                              where=where))  # fmt: skip
        if item.index != self._next and self._whole:
            self._whole = False
            found.append(_bad("gap", "records are missing", value=f"entry {item.index}",
                              expected=f"entry {self._next}", where=where))  # fmt: skip
        if self._whole:
            for _ in self._tree.push(leaf):
                continue
            self._next += 1
            self._note_old()
        if item.proof is not None:
            self._check_proof(item, leaf)
        self.leaves[leaf] = item.index
        self._report.entries += 1
        self._record(item, where)

    def _check_proof(self, item: Item, leaf: bytes) -> None:
        checkpoint = self._report.checkpoint
        if checkpoint is None or item.proof is None:
            return
        try:
            verify_inclusion(leaf, item.index, checkpoint.size, item.proof, checkpoint.root)
        except SealgateError as error:
            first = error.problem
            self._report.problems.append(
                _bad("not-included", f"the record is not in the signed log: {first.what}",
                     value=first.value, expected=first.expected,
                     where=f"entry {item.index}")
            )  # fmt: skip

    def _record(self, item: Item, where: str) -> None:
        found = self._report.problems
        try:
            record = strictjson.loads(item.entry)
        except SealgateError as error:
            found.append(_bad("not-json", "the record is not JSON", value=error, where=where))
            return
        if not isinstance(record, dict) or strictjson.dumps(record) != item.entry:
            found.append(_bad("not-canonical", "the record is not a canonical JSON object",
                              where=where))  # fmt: skip
            return
        if self._schema:
            for each in records.check(record)[:3]:
                found.append(_bad("schema", each.what, value=each.value, expected=each.expected,
                                  where=f"{where}{each.where}"))  # fmt: skip
        self._pair(item.index, record, where)

    def _pair(self, index: int, record: dict[str, Any], where: str) -> None:
        request = str(record.get("request_id"))
        if record.get("decision") == "admitted":
            self._decisions[request] = index
        elif record.get("type") == "outcome":
            decided = self._decisions.get(request)
            if self._whole and decided != record.get("decision_index"):
                self._report.problems.append(
                    _bad("no-decision", "an outcome without the decision that it names",
                         value=record.get("decision_index"), expected=str(decided),
                         where=where)
                )  # fmt: skip
            self._ended.add(request)

    def end(self) -> None:
        """Compare what was computed with what was signed."""
        report, found = self._report, self._report.problems
        report.open_calls = [r for r in self._decisions if r not in self._ended]
        checkpoint = report.checkpoint
        if checkpoint is None:
            if report.entries and not found:
                found.append(_bad("unsigned", "the log has no signed checkpoint"))
        elif self._whole:
            size, root = self._next, self._tree.root()
            report.complete = True
            if size != checkpoint.size:
                found.append(_bad("cut", "the log does not have the records that were signed",
                                  value=f"{size} entries",
                                  expected=f"{checkpoint.size} entries"))  # fmt: skip
            elif root != checkpoint.root:
                found.append(_bad("root", "the records are not those that were signed",
                                  value=root.hex(), expected=checkpoint.root.hex()))  # fmt: skip
        if self._old is not None:
            self._check_old(self._old)

    def _check_old(self, old: Checkpoint) -> None:
        found = self._report.problems
        if self._old_root is None:
            found.append(_bad("rolled-back", "the log is shorter than the earlier checkpoint",
                              value=f"{self._next} entries in one piece",
                              expected=f"at least {old.size} entries"))  # fmt: skip
        elif self._old_root != old.root:
            found.append(_bad("rewritten", "the log was rewritten since the earlier checkpoint",
                              value=self._old_root.hex(), expected=old.root.hex(),
                              where=f"entries 0 to {old.size - 1}"))  # fmt: skip


def _compare(report: Report, leaves: dict[bytes, int], lines: Iterable[bytes]) -> None:
    copied: set[bytes] = set()
    for number, line in enumerate(lines, 1):
        leaf = leaf_hash(line.rstrip(b"\n"))
        copied.add(leaf)
        if leaf not in leaves:
            report.problems.append(
                _bad("copy", "the copy has a record that the log does not have",
                     value=line[:120], expected="a record of the log",
                     where=f"line {number} of the copy")
            )  # fmt: skip
            if len(report.problems) >= MAX_PROBLEMS:
                break
    report.not_copied = len(leaves.keys() - copied)


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a copy."""
    with path.open("rb") as file:
        yield from file
