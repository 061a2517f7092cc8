"""How long a version must have been published before it may run.

Most malicious versions are found within days of their publication; who waits is not hit. The time
counts from the earliest signed time of the registry's publish statement: the registry cannot
backdate it, since a timestamp authority signs it. A security fix need not wait: the operator
waives the rest of the time for one version, with a reason that stands in every record.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from packaging.version import Version

from runner.revocations.rules import CoolDown, Waiver
from trust.errors import problem
from trust.outcomes import Failed, Passed


def check(
    rule: CoolDown, plugin: str, version: str, published_at: datetime | None, now: datetime
) -> Passed[Waiver | None] | Failed:
    """Decide whether a version has cooled down.

    Args:
        rule: the policy's.
        plugin: the normalised name.
        version: a PEP 440 version.
        published_at: the verified time of its publication, aware; None is as good as now.
        now: the time, aware.

    Returns:
        The waiver where one was needed, None where the version is old enough.
    """
    if rule.hours <= 0:
        return Passed(None)
    age = now - published_at if published_at is not None else timedelta()
    if age >= timedelta(hours=rule.hours):
        return Passed(None)
    for waiver in rule.waivers:
        same = waiver.plugin == plugin and Version(waiver.version) == Version(version)
        if same and now < waiver.until:
            return Passed(waiver)
    since = "unknown" if published_at is None else published_at.isoformat()
    return Failed(
        (
            problem(
                "policy.cool-down",
                "the version has not been published for long enough",
                value=f"{plugin} {version}: published {since}",
                expected=f"published for {rule.hours:g} hours",
                advice="wait, name an older version, or have the operator waive it with a reason "
                "(`cool_down_waivers`)",
                where="/version",
            ),
        )
    )
