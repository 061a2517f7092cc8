"""What the log refuses, and what it cannot do."""

from __future__ import annotations

from trust.errors import Problem, SealgateError, problem


class LogError(SealgateError):
    """The root of the log's exceptions; also raised for a request that makes no sense."""


class LogUnavailable(LogError):
    """The database could not do what was asked: disk full, locked too long, not readable.

    Nothing was acknowledged: an append that raises this has stored all of its entries or none.
    """


class LogCorrupt(LogError):
    """What is stored contradicts itself or the checkpoint that was signed over it."""


class ProofRefused(LogError):
    """An inclusion or consistency proof does not prove what it should."""


class NoteRefused(LogError):
    """A signed note, a checkpoint or a verifier key is malformed or not signed as it must be."""


def damage(what: str, value: object, expected: str, where: str) -> Problem:
    """Return a finding of damage, with the advice that each of them has."""
    return problem(
        "log.corrupt",
        what,
        value=value,
        expected=expected,
        advice="stop writing to this log, keep the file, and compare it with a backup and "
        "with checkpoints held elsewhere",
        where=where,
    )
