"""What the scan must have looked at: the plugin's dependencies, each by its digest.

The lock file is part of the wheel, so author and reviewers sign the dependencies' digests with it.
The scanner says in its statement which of them it scanned; a plugin whose dependencies were not
scanned, or others than it locks, is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from trust.evidence.bundles import VerifiedStatement
from trust.gate.decision import StepRefused, refuse
from trust.outcomes import Failed
from trust.wheel import Plugin, inspect_dependencies


def check_wheels(plugin: Plugin, wheels: Collection[bytes]) -> None:
    """Check that every locked wheel is at hand and acceptable.

    Args:
        plugin: the plugin.
        wheels: what is offered as its dependencies, in any order, untrusted.

    Raises:
        StepRefused: one is missing, or not accepted, or they do not go together.
    """
    by_digest = {hashlib.sha256(data).hexdigest(): data for data in wheels}
    outcome = inspect_dependencies(plugin, by_digest)
    if isinstance(outcome, Failed):
        raise StepRefused("wheel", *outcome.problems)


def check_scanned(plugin: Plugin, scans: Sequence[VerifiedStatement]) -> None:
    """Check that each counted scan names exactly the locked wheels.

    Raises:
        StepRefused: it scanned other dependencies, or none.
    """
    wanted = sorted(item.sha256 for item in plugin.dependencies)
    for statement in scans:
        scanned = sorted(scanned_by(statement.predicate))
        if scanned != wanted:
            refuse(
                "scan",
                "gate.dependencies-not-scanned",
                f"the scan did not look at the plugin's locked dependencies ({statement.identity})",
                value=", ".join(scanned) or "none",
                expected=", ".join(wanted) or "none",
                advice="have the version scanned again, with the wheels that its lock names",
                where=f"bundle {statement.bundle_sha256}",
            )


def scanned_by(predicate: Any) -> list[str]:
    """Return the digests of the dependencies that a scan's predicate names."""
    return [item["digest"]["sha256"] for item in predicate.get("sealgate_dependencies", ())]
