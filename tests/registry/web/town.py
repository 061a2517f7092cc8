"""A registry with a plugin in every state, for the tests of all pages and for the screenshots."""

from __future__ import annotations

from sqlalchemy import select

from registry.models import Version
from registry.states import Event, advance
from tests.registry.web import plugins
from tests.registry.web.stage import Stage
from trust.errors import problem

STATES = {
    "received": ("csv-clean", "0.3.0"),
    "scanning": ("unit-convert", "2.0.0"),
    "scan_failed": ("shell-helper", "0.1.0"),
    "scan_incomplete": ("geo-lookup", "0.9.0"),
    "in_review": ("markdown-render", "1.1.0"),
    "rejected": ("invoice-numbers", "1.0.0"),
    "published": ("markdown-render", "1.0.0"),
}
"""State -> a version in that state."""

PLAIN = '''"""{summary}"""


def run(arguments):
    """Return the arguments, for now."""
    return {{"value": arguments}}
'''


def plain(name: str, version: str, summary: str) -> plugins.Wheel:
    """Return a small harmless plugin."""
    return plugins.small(name, version, summary, PLAIN.format(summary=summary), "run")


def build(stage: Stage) -> None:
    """Fill the registry."""
    bob, carol, _ = stage.trust.reviewers
    stage.publish(plugins.markdown("1.0.0"), "Read all of it: one pure function, nothing imported.")
    stage.later(hours=20)
    stage.publish(plugins.table(), "Pure Python over the arguments. No imports.")
    stage.later(hours=5)
    stage.submit(plain("invoice-numbers", "1.0.0", "Check and format invoice numbers."))
    stage.submit(plugins.shell())
    stage.work()
    reason = "The summary promises a check of invoice numbers; the code returns its arguments."
    stage.review("invoice-numbers", "1.0.0", carol, "reject", reason)
    stage.submit(plugins.markdown("1.1.0"))
    stage.work()
    stage.review(
        "markdown-render", "1.1.0", bob, comment="The XML parser only sees our own output."
    )
    stage.later(days=3, hours=2)
    stage.submit(
        plain("date-words", "1.0.0", "Write dates the way people say them."), by="dan@example.com"
    )
    stage.work()
    stage.later(hours=7)
    stage.submit(plain("geo-lookup", "0.9.0", "Find the country of a coordinate."))
    advance_by_hand(stage, "geo-lookup", Event.SCAN_STARTED, Event.SCAN_INCOMPLETE)
    stage.submit(plain("unit-convert", "2.0.0", "Convert between units of measure."))
    advance_by_hand(stage, "unit-convert", Event.SCAN_STARTED)
    stage.submit(plain("csv-clean", "0.3.0", "Mend common mistakes in CSV files."))


def advance_by_hand(stage: Stage, summary_of: str, *events: Event) -> None:
    """Take a version on without a worker, into states that last only a moment otherwise."""
    with stage.services.database.write() as session:
        version = session.scalars(
            select(Version).where(Version.filename.startswith(summary_of.replace("-", "_")))
        ).one()
        for event in events:
            failed = event is Event.SCAN_INCOMPLETE
            advance(
                session,
                version,
                event,
                stage.now(),
                actor=None,
                detail="The scan was begun three times and never ended."
                if failed
                else "A worker began the scan.",
                problems=[
                    problem(
                        "scan.attempts",
                        "the scan did not run to its end",
                        value="3 attempts",
                        expected="a scan that ends",
                        advice="ask the registry's operator to have it scanned again",
                    )
                ]
                if failed
                else [],
            )
